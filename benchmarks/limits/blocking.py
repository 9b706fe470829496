"""The least there can be: one child, blocking reads and writes, no event loop."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.limits.child import Frames, write_frame
from benchmarks.limits.starting import start


class Blocking:
    """With the job "bytes" the value is the payload, otherwise it is sent as JSON."""

    backend = "asyncio"

    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def start(self, size: int, job: str) -> None:
        self._child = start(job, self._kind)
        self._frames = Frames(self._child.read_fd)
        self._raw = job == "bytes"

    async def alone(self, value: Any) -> Any:
        write_frame(self._child.write_fd, value if self._raw else msgspec.json.encode(value))
        reply = self._frames.next()
        return reply if self._raw else msgspec.json.decode(reply)

    call = alone

    async def close(self) -> None:
        self._child.close()
