"""A provider on the test's own event loop: it streams, and sees clients go."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from tests.contract.openai_server import Received, Refusal, answer_to

LIMIT = 120.0
"""Seconds after which a request, or a disconnection, that never comes fails the test."""

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_PIECE = re.compile(r"(?s).{1,5}")

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def usage_of(question: str) -> dict[str, int]:
    """Tokens that differ from question to question."""
    used = len(question)
    return {"prompt_tokens": used, "completion_tokens": 2 * used, "total_tokens": 3 * used}


class Provider:
    """Answers each field with `answer_to` the question; questions are told apart by their text."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.gone: list[str] = []
        """The questions whose clients hung up before they had the answer."""
        self.connections = 0
        self.can_stream = True
        self._refusals: dict[str, Refusal] = {}
        self._holds: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._tasks: set[asyncio.Task[Any]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def refuse(self, question: str, refusal: Refusal) -> None:
        self._refusals[question] = refusal

    def hold(self, *questions: str) -> asyncio.Event:
        """Give no answer to these, and of a stream only the first half, until the event is set."""
        released = asyncio.Event()
        self._holds.update(dict.fromkeys(questions, released))
        return released

    async def until(self, condition: Callable[[Provider], bool]) -> None:
        async with asyncio.timeout(LIMIT), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def arrived(self, n: int) -> None:
        await self.until(lambda provider: len(provider.requests) >= n)

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            async for request in _requests(reader):
                await self._meet(request, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            self.connections -= 1
            await self._note()

    async def _meet(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer, unless the client hangs up first: nothing else can come from it before."""
        self.requests.append(request)
        await self._note()
        answering = asyncio.create_task(self._answer(request, writer))
        hanging_up = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({answering, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.gone.append(request.question)
                raise ConnectionResetError
        finally:
            for task in (answering, hanging_up):
                task.cancel()
            await asyncio.gather(answering, hanging_up, return_exceptions=True)

    async def _answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        if refusal := self._refusals.get(request.question):
            writer.write(_refused(refusal))
        elif request.body.get("stream") and self.can_stream:
            async for piece in self._pieces(request):
                writer.write(piece)
        else:
            await self._released(request)
            writer.write(_whole(request))
        await writer.drain()

    async def _released(self, request: Received) -> None:
        if held := self._holds.get(request.question):
            await held.wait()

    async def _pieces(self, request: Received) -> AsyncIterator[bytes]:
        yield _STREAM_HEAD
        pieces = _PIECE.findall(_content(request))
        for number, piece in enumerate(pieces):
            if number == len(pieces) // 2:
                await self._released(request)
            yield _event(_choice({"role": "assistant", "content": piece}, None))
        yield _event(_choice({}, "stop"))
        yield _event({**_choice({}, None), "choices": [], "usage": usage_of(request.question)})
        yield _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


async def _requests(reader: asyncio.StreamReader) -> AsyncIterator[Received]:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        length = _LENGTH.search(head)
        assert length is not None
        body = json.loads(await reader.readexactly(int(length[1])))
        first, *lines = head.decode().strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        yield Received(first.split()[1], {name.lower(): value for name, value in pairs}, body)


def _content(request: Received) -> str:
    fields = [f"[[ ## {name} ## ]]\n{answer_to(request.question)}" for name in request.wanted]
    return "\n\n".join([*fields, "[[ ## completed ## ]]"])


def _whole(request: Received) -> bytes:
    message = {"role": "assistant", "content": _content(request)}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage_of(request.question),
    }
    return _reply(200, body, {})


def _refused(refusal: Refusal) -> bytes:
    return _reply(refusal.status, {"error": {"message": refusal.message}}, refusal.headers)


def _reply(status: int, body: dict[str, Any], headers: dict[str, str]) -> bytes:
    payload = json.dumps(body).encode()
    own = {"Content-Type": "application/json", "Content-Length": str(len(payload))}
    lines = [f"{name}: {value}" for name, value in {**own, **headers}.items()]
    return "\r\n".join([f"HTTP/1.1 {status} -", *lines, "", ""]).encode() + payload


def _choice(delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**chunk, "choices": choices}


def _event(data: dict[str, Any]) -> bytes:
    return _chunk(f"data: {json.dumps(data)}\n\n".encode())


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
