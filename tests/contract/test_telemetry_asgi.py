"""The same answers as an ASGI application, by httpx's transport for those."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from pool import SyncWorkerPool
from pool.telemetry.asgi import telemetry_app
from tests.contract.pools import make_pool
from tests.contract.scraping import value


def client_of(app: Any, root_path: str = "") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url="http://pool")


async def test_what_it_answers() -> None:
    pool = make_pool("forkserver", size=1)
    app = telemetry_app(pool)
    async with client_of(app) as client:
        assert (await client.get("/readyz")).status_code == 503
        async with pool:
            await pool.call("echo", {})
            metrics = await client.get("/metrics")
            assert value(metrics.text, "calls_total", command="echo", outcome="ok") == 1
            assert (await client.get("/readyz")).text == "ready\n"
            head = await client.head("/livez")
            assert (head.status_code, head.content) == (200, b"")
            assert (await client.post("/livez")).status_code == 405
            assert (await client.get("/stats")).json()["name"] == pool.name


async def test_where_it_is_mounted() -> None:
    app = telemetry_app(make_pool("forkserver", size=1))
    async with client_of(app, root_path="/pool") as client:
        assert (await client.get("/pool/livez")).status_code == 200


async def test_of_a_pool_for_synchronous_code() -> None:
    pool = SyncWorkerPool("bridge.echo", size=1)
    app = telemetry_app(pool.asynchronous)
    await asyncio.to_thread(pool.open)
    try:
        async with client_of(app) as client:
            assert (await client.get("/readyz")).status_code == 200
    finally:
        await asyncio.to_thread(pool.close)


async def test_its_lifespan() -> None:
    app = telemetry_app(make_pool("forkserver", size=1))
    said: list[str] = []
    events = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, Any]:
        return {"type": next(events)}

    async def send(message: Any) -> None:
        said.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(NotImplementedError):
        await app({"type": "websocket"}, receive, send)
