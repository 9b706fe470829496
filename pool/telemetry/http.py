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
        why = f"{pool.name}: telemetry cannot listen on {host}:{port}: {error}"
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
        if self._transport.is_closing():
            return
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            self._send(plain(error.error_status_hint, f"no proper request: {error}"))
            return
        if isinstance(event, h11.Request):
            self._send(self._answer(event))

    def _answer(self, request: h11.Request) -> Answer:
        path = request.target.decode("latin-1").partition("?")[0]
        accept = [value for name, value in request.headers if name == b"accept"]
        return self._endpoints.answer(
            request.method.decode("latin-1"), path, b",".join(accept).decode("latin-1")
        )

    def _send(self, answer: Answer) -> None:
        headers = [*answer.headers, (b"connection", b"close")]
        # The body of an answer to HEAD is left out, by h11 itself.
        for event in (
            h11.Response(status_code=answer.status, headers=headers),
            h11.Data(data=answer.body),
            h11.EndOfMessage(),
        ):
            self._transport.write(self._http.send(event) or b"")
        self._timer.cancel()
        self._wait()
        self._transport.close()  # once all is sent
