"""A small HTTP server for a pool's health and figures.

It answers one request on each connection, to GET and HEAD alone. Nobody who connects
can take much from the pool: not by a long head, not by being slow, not by coming often.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import cast

import h11

from pool.telemetry.endpoints import Answer, Asked, Endpoints, plain

MAX_HEAD = 8 * 1024
"""Bytes of a request's first line and its headers."""

PATIENCE = 5.0
"""Seconds for a whole request to come, and again for its response to be taken. Probes and
scrapes wait 1 to 10 s by default."""

MAX_IGNORED = 256 * 1024
"""Bytes that a client may send in all, before it is dropped though its answer is not taken yet."""

MAX_CONNECTIONS = 32
"""Connections at a time. For one more the oldest is dropped, not the new one: otherwise
some that say nothing would keep out those who ask whether the pool lives."""


class TelemetryServer:
    """Where the server listens. `url` has no slash at its end."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def __repr__(self) -> str:
        return f"<TelemetryServer {self.url}>"


@asynccontextmanager
async def serve(
    pool: Asked, host: str, port: int, commands: int | Collection[str]
) -> AsyncIterator[TelemetryServer]:
    """Answer requests while the block runs; see `WorkerPool.serve_telemetry`."""
    endpoints = Endpoints(pool, commands)
    clients = Clients()
    try:
        server = await _listen(pool, endpoints, clients, host, port)
        try:
            # Of a name that has several addresses the first is told.
            yield TelemetryServer(*server.sockets[0].getsockname()[:2])
        finally:
            server.close()
            await clients.drop_all()
    finally:
        endpoints.close()


async def _listen(
    pool: Asked, endpoints: Endpoints, clients: Clients, host: str, port: int
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(lambda: Client(endpoints, clients), host, port)
    except (OSError, OverflowError) as error:
        number = error.errno if isinstance(error, OSError) else None
        said = getattr(error, "strerror", None) or error
        why = f"{pool.name}: telemetry cannot listen on {host}:{port}: {said}"
        raise OSError(number, why) from error


class Clients:
    """Those that are connected, the oldest first."""

    def __init__(self) -> None:
        self._there: dict[Client, None] = {}
        self._all_gone = asyncio.Event()
        self._all_gone.set()

    def add(self, client: Client) -> None:
        """One more; the oldest goes if it is too many."""
        if len(self._there) >= MAX_CONNECTIONS:
            next(iter(self._there)).drop()
        self._there[client] = None
        self._all_gone.clear()

    def remove(self, client: Client) -> None:
        self._there.pop(client, None)
        if not self._there:
            self._all_gone.set()

    async def drop_all(self) -> None:
        """Hang up on all; return when they are gone."""
        for client in list(self._there):
            client.drop()
        await self._all_gone.wait()


class Client(asyncio.Protocol):
    """One connection: a request, an answer, the end."""

    _transport: asyncio.Transport
    _timer: asyncio.TimerHandle

    def __init__(self, endpoints: Endpoints, clients: Clients) -> None:
        self._endpoints = endpoints
        self._clients = clients
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._received = 0
        self._is_answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._clients.add(self)
        self._wait()

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        self._clients.remove(self)

    def drop(self) -> None:
        """Hang up without a word."""
        self._transport.abort()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self.drop)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._is_answered:
            self._ignore()
            return
        if self._received > MAX_HEAD:
            self._send(plain(431, f"a request has {MAX_HEAD} bytes at most"))
            return
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            self._send(plain(error.error_status_hint, f"no proper request: {error}"))
            return
        if isinstance(event, h11.Request):
            self._send(self._answer(event), is_head=event.method == b"HEAD")

    def _answer(self, request: h11.Request) -> Answer:
        path = request.target.decode("latin-1").partition("?")[0]
        accept = [value for name, value in request.headers if name == b"accept"]
        return self._endpoints.answer(
            request.method.decode("latin-1"), path, b",".join(accept).decode("latin-1")
        )

    def _send(self, answer: Answer, *, is_head: bool = False) -> None:
        headers = [*answer.headers, (b"connection", b"close")]
        head = h11.Response(status_code=answer.status, headers=headers)
        body = h11.Data(data=b"" if is_head else answer.body)
        for event in (head, body, h11.EndOfMessage()):
            self._transport.write(self._http.send(event) or b"")
        # Closed at once, with bytes of the client's unread, the kernel would reset the
        # connection and the answer be lost: the client closes first, or is dropped.
        self._transport.write_eof()
        self._is_answered = True
        self._timer.cancel()
        self._wait()

    def _ignore(self) -> None:
        if self._received > MAX_IGNORED:
            self.drop()
