"""Our ends of the two pipes to a child, as the kernel has them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
from collections.abc import Callable
from functools import partial
from typing import Protocol

from pool.launch.descriptors import arrived, close_end

# A buffer of 1 MiB costs several times as much per read: the allocator maps and unmaps it.
_READ_SIZE = 64 * 1024

WIDE = 256 * 1024
"""Bytes that a pipe holds from its first long frame on. All pipes of a user may hold 64 MiB before
new ones are kept small (pipe(7)), which is enough for 128 workers with long frames."""


class Ends(Protocol):
    """One pipe to read from and one to write to; nothing here ever blocks.

    What is ready is told for as long as it is. Each end is closed once, by its
    owner, and not used any more.
    """

    def read(self) -> bytes:
        """Return some of what has arrived, nothing at end of file.

        Raises `BlockingIOError` if nothing has arrived.
        """
        ...

    def read_into(self, room: memoryview) -> int:
        """Read some of what has arrived there, nothing at end of file; return how many bytes.

        Raises `BlockingIOError` if nothing has arrived.
        """
        ...

    def widen(self) -> None:
        """Long frames are on their way: have the pipes hold more."""
        ...

    def write(self, data: bytes | memoryview) -> int:
        """Return how many bytes the pipe took.

        Raises `BlockingIOError` if it is full, `BrokenPipeError` if nobody
        will ever read it.
        """
        ...

    def arrived(self) -> int:
        """How many bytes can be read now."""
        ...

    def has_hung_up(self) -> bool:
        """Whether nobody can write any more to the pipe that is read from."""
        ...

    def watch_reading(self, action: Callable[[], object]) -> None:
        """Call `action` while there is something to read, end of file included."""
        ...

    def ignore_reading(self) -> None:
        """Undo `watch_reading`."""
        ...

    def watch_writing(self, action: Callable[[], object]) -> None:
        """Call `action` while the pipe takes more."""
        ...

    def ignore_writing(self) -> None:
        """Undo `watch_writing`, if it was called."""
        ...

    def close_reading(self) -> None: ...

    def close_writing(self) -> None: ...


class PipeEnds:
    """Two descriptors on the event loop; both are taken over."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self._loop = asyncio.get_running_loop()
        self._read_fd = read_fd
        self._write_fd = write_fd
        hang_up = select.poll()
        hang_up.register(read_fd, 0)
        # Without a frame of their own: each call needs all three.
        self.read = partial(os.read, read_fd, _READ_SIZE)
        self.write = partial(os.write, write_fd)
        self._poll = partial(hang_up.poll, 0)

    def read_into(self, room: memoryview) -> int:
        return os.readv(self._read_fd, [room])

    def widen(self) -> None:
        for fd in (self._read_fd, self._write_fd):
            with contextlib.suppress(OSError):  # more than this user may have: pipe(7)
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, WIDE)

    def arrived(self) -> int:
        return arrived(self._read_fd)

    def has_hung_up(self) -> bool:
        return bool(self._poll())

    def watch_reading(self, action: Callable[[], object]) -> None:
        self._loop.add_reader(self._read_fd, action)

    def ignore_reading(self) -> None:
        self._loop.remove_reader(self._read_fd)

    def watch_writing(self, action: Callable[[], object]) -> None:
        self._loop.add_writer(self._write_fd, action)

    def ignore_writing(self) -> None:
        self._loop.remove_writer(self._write_fd)

    def close_reading(self) -> None:
        self._loop.remove_reader(self._read_fd)
        close_end(self._read_fd)

    def close_writing(self) -> None:
        self._loop.remove_writer(self._write_fd)
        close_end(self._write_fd)
