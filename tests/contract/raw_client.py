"""A bridge's process driven by hand: json, struct and pipes, none of our code."""

from __future__ import annotations

import contextlib
import json
import os
import select
import struct
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self


class RawClient:
    """Speaks the wire to `python -m bridge TARGET ...` over its stdin and stdout."""

    def __init__(
        self,
        target: str,
        *arguments: str,
        env: dict[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", target, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            pass_fds=pass_fds,
        )
        self.last_id = 0
        self._received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            if not pipe.closed:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()

    def write(self, payload: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(struct.pack(">I", len(payload)) + payload)
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        header = self._take(4)
        assert len(header) == 4, f"end of file; stderr: {self.stderr()}"
        (length,) = struct.unpack(">I", header)
        reply = json.loads(self._take(length))
        assert isinstance(reply, dict)
        return reply

    def _take(self, size: int) -> bytes:
        """The next bytes of the output; fewer at its end."""
        while len(self._received) < size and (data := self.read_once()):
            self._received += data
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def read_once(self) -> bytes:
        """What one system call finds, or waits for."""
        assert self.process.stdout is not None
        return os.read(self.process.stdout.fileno(), 1024 * 1024)

    def send(self, command: str, args: Any = None, **members: Any) -> int:
        self.last_id += 1
        request = {"id": self.last_id, "command": command, "args": args, **members}
        self.write(json.dumps(request).encode())
        return self.last_id

    def ask(self, command: str, args: Any = None, **members: Any) -> dict[str, Any]:
        """Send a request and return its reply."""
        sent = self.send(command, args, **members)
        reply = self.read()
        assert reply["id"] == sent
        return reply

    def tell(self, command: str, args: Any) -> None:
        """Send a request without an id, which gets no reply."""
        self.write(json.dumps({"command": command, "args": args}).encode())

    def shake_hands(self, concurrency: int) -> Self:
        """Have the bridge take so many calls at a time."""
        args = {"initialization": True, "concurrency": concurrency}
        self.write(json.dumps({"id": 0, "command": "ping", "args": args}).encode())
        assert self.read()["success"]
        return self

    def result(self, command: str, args: Any = None) -> Any:
        reply = self.ask(command, args)
        assert reply["success"], reply
        return reply["result"]

    def until_reply(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Read to the next reply; return the events before it, and it."""
        events = []
        while "event" in (read := self.read()):
            events.append(read)
        return events, read

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long, nor is there already."""
        assert self.process.stdout is not None
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        return not self._received and not poll.poll(seconds * 1000)

    def line(self) -> str:
        """The next line on stderr."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().decode().strip()

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def at_end_of_output(self) -> bool:
        return self._take(1) == b""

    def stderr(self) -> str:
        """Everything on stderr; waits for its end."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()
