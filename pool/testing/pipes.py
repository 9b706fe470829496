"""Pipes without a kernel."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable

from pool.testing.world import World

CAPACITY = 64 * 1024
"""Bytes that a pipe holds, as Linux makes them."""

ATOMIC = 4096
"""Linux's PIPE_BUF: bytes that are written whole or not at all."""

_READ_SIZE = 64 * 1024


class Readiness:
    """Calls who watches for as long as something is ready, each time after a lag."""

    def __init__(self, world: World, is_ready: Callable[[], bool]) -> None:
        self._world = world
        self._is_ready = is_ready
        self._action: Callable[[], object] | None = None
        self._context = contextvars.Context()
        self._due: asyncio.TimerHandle | None = None

    def watch(self, action: Callable[[], object]) -> None:
        self._action = action
        self._context = contextvars.copy_context()
        self.stir()

    def ignore(self) -> None:
        self._action = None
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def stir(self) -> None:
        """It may have become ready."""
        if self._action is not None and self._due is None and self._is_ready():
            self._due = self._world.later(self._world.lag(), self._tell)

    def _tell(self) -> None:
        self._due = None
        if self._action is not None and self._is_ready():
            self._context.run(self._action)
        self.stir()


class Pipe:
    """Bytes in order, with an end for a reader and one for a writer.

    What is written is there at once; that it is there is noticed after a lag.
    With `takes_all` it is for a writer that would have to wait when it is full, and
    need not here: then it takes more than its capacity.
    """

    def __init__(self, world: World, *, takes_all: bool = False) -> None:
        self._world = world
        self._capacity = CAPACITY
        self._takes_all = takes_all
        self._bytes = bytearray()
        self.has_reader = True
        self.has_writer = True
        self.readable = Readiness(world, lambda: bool(self._bytes) or not self.has_writer)
        self.writable = Readiness(world, lambda: self._room() >= ATOMIC or not self.has_reader)
        self.relieved = Readiness(world, lambda: not self.is_full or not self.has_reader)
        """Ready when a pipe of Linux's would take more, whatever this one takes."""

    @property
    def held(self) -> int:
        """How many bytes have been written and not read yet."""
        return len(self._bytes)

    @property
    def is_full(self) -> bool:
        """Whether as much is in it as Linux's pipes hold."""
        return len(self._bytes) > self._capacity - ATOMIC

    def widen(self, capacity: int) -> None:
        """Have it hold more."""
        self._capacity = max(self._capacity, capacity)
        self.writable.stir()
        self.relieved.stir()

    def write(self, data: bytes | memoryview) -> int:
        """Return how many bytes were taken; raises as `Ends.write` does."""
        if not self.has_reader:
            raise BrokenPipeError
        room = self._room()
        if room < min(len(data), ATOMIC):
            raise BlockingIOError
        taken = data[:room]
        self._bytes += taken
        self.readable.stir()
        return len(taken)

    def read(self, most: int = _READ_SIZE) -> bytes:
        """Return some of what is there, nothing at its end; raises as `Ends.read` does."""
        if not self._bytes:
            if self.has_writer:
                raise BlockingIOError
            return b""
        size = self._world.cut(min(len(self._bytes), most))
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        self.writable.stir()
        self.relieved.stir()
        return taken

    def close_reader(self) -> None:
        assert self.has_reader, "the reading end is closed twice"
        self.has_reader = False
        self.readable.ignore()
        self.writable.stir()
        self.relieved.stir()

    def close_writer(self) -> None:
        assert self.has_writer, "the writing end is closed twice"
        self.has_writer = False
        self.writable.ignore()
        self.relieved.ignore()
        self.readable.stir()

    def _room(self) -> int:
        return (sys.maxsize if self._takes_all else self._capacity) - len(self._bytes)
