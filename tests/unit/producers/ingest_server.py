"""A small real HTTP server with ingest-api's contract and scripted faults."""

import asyncio
import json
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from shared_types import Envelope, InvalidEvent, Tenancy, canonicalize

API_KEY = "ingest_key_of_the_tests"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class IngestServer:
    """Accepts batches; each request first consumes one of `faults`, if any is left."""

    url: str = ""
    faults: list[Handler] = field(default_factory=list)
    requests: int = 0
    envelopes: list[Envelope] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Answer POST /v1/events/batch."""
        self.requests += 1
        if request.headers["Authorization"] != f"Bearer {API_KEY}":
            return problem(401, detail="Unknown key.")
        if self.faults:
            return await self.faults.pop(0)(request)
        results = [self._settle(event, index) for index, event in enumerate(await request.json())]
        rejected = sum(result["status"] == "rejected" for result in results)
        body = {"accepted": len(results) - rejected, "rejected": rejected, "results": results}
        if rejected == len(results):
            return problem(422, **body)
        return web.json_response(body, status=207 if rejected else 202)

    def _settle(self, event: dict[str, Any], index: int) -> dict[str, Any]:
        try:
            envelope = canonicalize(
                event,
                tenancy=Tenancy("org_1", "proj_1"),
                received_at=datetime.now(UTC),
                event_id=uuid.uuid4(),
            )
        except InvalidEvent as error:
            reason = {"code": error.code, "field": error.field, "message": str(error)}
            return {"index": index, "status": "rejected", **reason}
        self.envelopes.append(envelope)
        return {"index": index, "event_id": str(envelope.event_id), "status": "accepted"}


def problem(status: int, headers: dict[str, str] | None = None, **members: object) -> web.Response:
    """Return a problem document (RFC 9457)."""
    text = json.dumps({"title": "problem", "status": status, **members})
    return web.Response(status=status, headers=headers, text=text, content_type="application/problem+json")


@contextmanager
def ingest_server() -> Iterator[IngestServer]:
    """Serve on a free port from a thread of its own while the block runs."""
    server = IngestServer()
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/v1/events/batch", server.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=60)
        loop.close()
