// Bundles a page with its packages, as the build of a shop does: `bundle.mjs PAGE`; prints the script.
import { readFileSync } from "node:fs";
import { buildSync } from "esbuild";

const stdin = { contents: readFileSync(process.argv[2], "utf8"), resolveDir: import.meta.dirname };
const { outputFiles } = buildSync({ stdin, bundle: true, write: false });
process.stdout.write(outputFiles[0].contents);
