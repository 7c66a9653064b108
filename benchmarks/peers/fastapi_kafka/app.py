"""A minimal FastAPI service with confluent-kafka: validate, produce, answer after the acknowledgement.

The service has no keys, tenants, limits, batches or size bounds, does not normalize, and keeps no ledger.
"""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal

from confluent_kafka import KafkaError, Message, Producer
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field


class Event(BaseModel):
    """The envelope of requirement R12, as far as types go."""

    event_id: uuid.UUID = Field(default_factory=uuid.uuid4)
    occurred_at: datetime
    environment: Literal["prod", "staging", "dev"] = "dev"
    event_type: Literal["error", "http_request", "signup", "deploy", "feedback", "custom"]
    severity: Literal["debug", "info", "warn", "error", "critical"] = "info"
    message: str = Field(max_length=8192)
    attributes: dict[str, Any] = Field(default_factory=dict)
    payload: dict[str, Any] = Field(default_factory=dict)


def build_app(brokers: str, topic: str) -> FastAPI:
    """Build the application with a producer as durable as the product's."""
    ended = threading.Event()
    config = {
        "bootstrap.servers": brokers,
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 1,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
    }

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        producer = Producer(config)
        producer.list_topics(topic, timeout=10)

        def poll() -> None:
            while not ended.is_set():
                producer.poll(0.1)

        poller = threading.Thread(target=poll, daemon=True)
        poller.start()
        app.state.producer = producer
        yield
        ended.set()
        poller.join()

    app = FastAPI(lifespan=lifespan)

    @app.get("/v1/events/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/events", status_code=202)
    async def take(event: Event) -> dict[str, str]:
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[KafkaError | None] = loop.create_future()

        def delivered(error: KafkaError | None, _: Message) -> None:
            loop.call_soon_threadsafe(acknowledged.set_result, error)

        key = f"{event.attributes.get('error_code')}|{event.attributes.get('route')}"
        app.state.producer.produce(topic, event.model_dump_json(), key, on_delivery=delivered)
        if await acknowledged:
            raise HTTPException(503, "Kafka did not acknowledge the event")
        return {"event_id": str(event.event_id), "status": "accepted"}

    return app
