"""A bridge's process driven by hand: json, struct and pipes, none of our code."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
from types import TracebackType
from typing import Any, Self


class RawClient:
    """Speaks the wire to `python -m bridge TARGET ...` over its stdin and stdout."""

    def __init__(self, target: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", target, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        self._id = 0

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
        assert self.process.stdout is not None
        header = self.process.stdout.read(4)
        assert len(header) == 4, f"end of file; stderr: {self.stderr()}"
        (length,) = struct.unpack(">I", header)
        reply = json.loads(self.process.stdout.read(length))
        assert isinstance(reply, dict)
        return reply

    def send(self, command: str, args: Any = None, **members: Any) -> int:
        self._id += 1
        request = {"id": self._id, "command": command, "args": args, **members}
        self.write(json.dumps(request).encode())
        return self._id

    def ask(self, command: str, args: Any = None, **members: Any) -> dict[str, Any]:
        """Send a request and return its reply."""
        sent = self.send(command, args, **members)
        reply = self.read()
        assert reply["id"] == sent
        return reply

    def result(self, command: str, args: Any = None) -> Any:
        reply = self.ask(command, args)
        assert reply["success"], reply
        return reply["result"]

    def close_stdin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def at_end_of_output(self) -> bool:
        assert self.process.stdout is not None
        return self.process.stdout.read(1) == b""

    def stderr(self) -> str:
        """Everything on stderr; waits for its end."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()
