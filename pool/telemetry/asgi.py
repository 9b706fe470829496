"""A pool's health and figures as an ASGI application, to be mounted in one that is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from pool.telemetry.endpoints import Answer, Asked, Endpoints

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def telemetry_app(pool: Asked, *, commands: int | Collection[str] = 50) -> App:
    """Answer `/metrics`, `/livez`, `/readyz` and `/stats` under wherever it is mounted.

    It listens to the pool from here on, which is best before that is opened, and as long
    as there is a pool. `commands` is as with `serve_telemetry`. A `SyncWorkerPool` is
    given as its `asynchronous`. Needs the extra `telemetry`.
    """
    endpoints = Endpoints(pool, commands)

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            answer = pool.on_loop(lambda: _answer(endpoints, scope))
            await _send(answer, scope["method"], send)
        else:
            raise NotImplementedError(f"telemetry is told by HTTP, not by {scope['type']}")

    return app


def _answer(endpoints: Endpoints, scope: Message) -> Answer:
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    # Where it is mounted, the path begins with the mount's (ASGI 3, "root_path").
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return endpoints.answer(scope["method"], path, accept.decode("latin-1"))


async def _send(answer: Answer, method: str, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    body = b"" if method == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return
