"""Telemetry endpoints for the live view: of a real pool, and one that says what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec

from pool import WorkerPool
from pool.lifecycle import PoolState
from pool.stats import PoolStats
from tests.unit.runs import stats

Pages = dict[str, tuple[int, bytes]]
"""Status and body by path."""


@asynccontextmanager
async def serving(pool: WorkerPool) -> AsyncIterator[str]:
    """Serve a pool's telemetry; gives HOST:PORT. By the pool itself, if it can."""
    serve: Any = getattr(pool, "serve_telemetry", None)
    if serve is not None:
        async with serve(host="127.0.0.1", port=0) as server:
            yield f"127.0.0.1:{server.port}"
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        status, body = pages(pool.stats())[path]
        writer.write(b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        yield f"{host}:{port}"


def pages(picture: PoolStats) -> Pages:
    """What an endpoint of a pool has, as far as the view reads it."""
    return {
        "/stats": (200, msgspec.json.encode(picture)),
        "/metrics": (200, "".join(_metrics(picture)).encode()),
    }


def _metrics(picture: PoolStats) -> Iterator[str]:
    for outcome, count in picture.calls.items():
        labels = f'pool="{picture.name}",command="asleep",outcome="{outcome}"'
        yield f"workerpool_calls_total{{{labels}}} {count}\n"
        for bound in ("0.005", "5.0", "+Inf"):
            of = 0 if bound == "0.005" else count
            yield f'workerpool_call_duration_seconds_bucket{{{labels},le="{bound}"}} {of}\n'
    for worker in picture.workers:
        labels = f'pool="{picture.name}",slot="{worker.slot}"'
        yield f"workerpool_worker_resident_bytes{{{labels}}} 45e6\n"


class Scripted:
    """An endpoint whose pages a test sets. It can go away and come back at the same port."""

    def __init__(self) -> None:
        self.pages: Pages = {}
        self.parts: list[bytes] = []
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def has(self, **known: Any) -> None:
        """The picture of an open pool, named echo, with what is given."""
        given = {"name": "echo", "state": PoolState.OPEN, "start_method": "spawn"}
        self.pages = pages(stats(**{**given, **known}))

    def come(self) -> None:
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = scripted.pages.get(self.path, (404, b"not here"))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.block_on_close = True
        self._port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.01,)).start()

    def go(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def scripted() -> Iterator[Scripted]:
    endpoint = Scripted()
    endpoint.come()
    try:
        yield endpoint
    finally:
        endpoint.go()
