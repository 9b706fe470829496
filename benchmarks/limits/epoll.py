"""Eight children kept busy by a bare epoll loop: no asyncio, no futures, no tasks."""

from __future__ import annotations

import select
import time
from typing import Any

import msgspec

from benchmarks.limits.child import Frames, write_frame
from benchmarks.limits.starting import start


class Epoll:
    """One request in flight for each child; the next is sent as soon as its reply is read."""

    backend = "asyncio"

    async def start(self, size: int, job: str) -> None:
        self._children = [start(job, "pipe") for _ in range(size)]
        self._frames = {child.read_fd: Frames(child.read_fd) for child in self._children}

    def storm(self, value: Any, seconds: float) -> int:
        """Call for so long; return how many calls were answered."""
        writers = {child.read_fd: child.write_fd for child in self._children}
        done = 0
        with select.epoll() as epoll:
            for read_fd, write_fd in writers.items():
                epoll.register(read_fd, select.EPOLLIN)
                write_frame(write_fd, msgspec.json.encode(value))
            until = time.monotonic() + seconds
            while writers:
                over = time.monotonic() >= until
                for fd, _ in epoll.poll():
                    msgspec.json.decode(self._frames[fd].next())
                    done += 1
                    if over:
                        del writers[fd]
                    else:
                        write_frame(writers[fd], msgspec.json.encode(value))
        return done

    async def alone(self, value: Any) -> Any:
        child = self._children[0]
        write_frame(child.write_fd, msgspec.json.encode(value))
        return msgspec.json.decode(self._frames[child.read_fd].next())

    call = alone

    async def close(self) -> None:
        for child in self._children:
            child.close()
