"""A provider on loopback that speaks as much of the OpenAI protocol as dspy's clients need."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ARRIVAL_LIMIT = 30.0
"""Seconds after which a request that never comes fails the test."""

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}

_FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]\n(.*?)\n\n", re.DOTALL)
_WANTED = re.compile(r"`\[\[ ## (\w+) ## \]\]`")


@dataclass(frozen=True)
class Received:
    """A request as it arrived; the names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        """The text of all messages."""
        return "\n\n".join(_text(message["content"]) for message in self.body["messages"])

    @property
    def question(self) -> str:
        fields: dict[str, str] = dict(_FIELD.findall(self._last))
        return fields.get("question", "")

    @property
    def wanted(self) -> list[str]:
        """The output fields that the last message asks for."""
        asked = self._last.partition("Respond with the corresponding output fields")[2]
        return [name for name in _WANTED.findall(asked) if name != "completed"]

    @property
    def _last(self) -> str:
        return _text(self.body["messages"][-1]["content"])


def _text(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error; `{authorization}` in its message is that header's value."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "told to refuse"


class Hold:
    """No answer until it is released."""

    def __init__(self) -> None:
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def wait(self) -> None:
        self._released.wait()


class OpenAIServer:
    """Records every request and answers each field with `answer_to` of the question.

    `plan` says how the next requests are met instead, one step a request.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._changed = threading.Condition()
        self._plan: deque[Refusal | Hold] = deque()
        self._holds: list[Hold] = []
        self._http = _HTTPServer(("127.0.0.1", 0), partial(_Handler, self._meet))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    @property
    def api_base(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def plan(self, *steps: Refusal | Hold) -> None:
        with self._changed:
            self._plan.extend(steps)
            self._holds.extend(step for step in steps if isinstance(step, Hold))

    def hold(self) -> Hold:
        """Leave the next request without an answer until it is released."""
        held = Hold()
        self.plan(held)
        return held

    async def arrived(self, n: int) -> list[Received]:
        """Wait until `n` requests have arrived, and return all of them."""
        assert await asyncio.to_thread(self._wait_for, n), f"fewer than {n} requests arrived"
        return self.requests

    def _wait_for(self, n: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.requests) >= n, ARRIVAL_LIMIT)

    def _meet(self, request: Received) -> Refusal | None:
        """Record a request and follow the plan; None is an ordinary answer."""
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            step = self._plan.popleft() if self._plan else None
        if isinstance(step, Hold):
            step.wait()
            return None
        return step

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for held in self._holds:
            held.release()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them


class _Handler(BaseHTTPRequestHandler):
    """One request a connection."""

    def __init__(
        self, meet: Callable[[Received], Refusal | None], *args: Any, **kwargs: Any
    ) -> None:
        self._meet = meet
        super().__init__(*args, **kwargs)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.path, headers, body)
        refusal = self._meet(request)
        if not self.path.endswith("/chat/completions"):
            refusal = Refusal(404, message="no such path")
        if refusal is None:
            self._send(200, _completion(request), {})
        else:
            message = refusal.message.format(authorization=headers.get("authorization"))
            self._send(refusal.status, {"error": {"message": message}}, refusal.headers)

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        payload = json.dumps(body).encode()
        own = {"Content-Type": "application/json", "Content-Length": str(len(payload))}
        try:
            self.send_response(status)
            for name, value in {**own, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)
        except ConnectionError:
            pass  # the client has given up

    def log_message(self, format: str, *args: Any) -> None: ...


def answer_to(question: str) -> str:
    return f"the answer to {question!r}"


def _completion(request: Received) -> dict[str, Any]:
    fields = [f"[[ ## {name} ## ]]\n{answer_to(request.question)}" for name in request.wanted]
    content = "\n\n".join([*fields, "[[ ## completed ## ]]"])
    message = {"role": "assistant", "content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": request.body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }
