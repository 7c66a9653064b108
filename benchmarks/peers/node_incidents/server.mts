// The product's list and detail of incidents from the same statements, on Node's own HTTP server and node-postgres.
import { readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import pg from "pg";

type Statement = { name: string; text: string; parameters: string[] };
type Work = { list: Statement; detail: Statement[]; values: Record<string, unknown> };

const work: Work = JSON.parse(readFileSync(process.env.BENCH_STATEMENTS!, "utf8"));
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 });

async function rows({ name, text, parameters }: Statement, values: Record<string, unknown>) {
  const result = await pool.query({ name, text, values: parameters.map((parameter) => values[parameter]) });
  return result.rows;
}

async function list() {
  const found = await rows(work.list, work.values);
  const limit = (work.values.limit as number) - 1;
  return { incidents: found.slice(0, limit), has_more: found.length > limit };
}

async function detail(id: string) {
  const values = { ...work.values, incident_id: id };
  const parts = await Promise.all(work.detail.map((statement) => rows(statement, values)));
  return Object.fromEntries(work.detail.map((statement, place) => [statement.name, parts[place]]));
}

function answer(response: ServerResponse, status: number, body: object): void {
  const content = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { "content-type": "application/json", "content-length": content.length });
  response.end(content);
}

createServer(async (request, response) => {
  const path = request.url ?? "";
  try {
    if (path === "/healthz") answer(response, 200, { status: "ok" });
    else if (path === "/v1/incidents") answer(response, 200, await list());
    else answer(response, 200, await detail(path.slice(path.lastIndexOf("/") + 1)));
  } catch (error) {
    answer(response, 500, { detail: String(error) });
  }
}).listen(Number(process.env.BENCH_PORT), "127.0.0.1");
