"""A child's output for people: drained always, its end kept, passed on line by line."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from pool.launch.descriptors import close_end

KEPT = 64 * 1024
"""Bytes of output kept for error messages."""

MAX_LINE = 8 * 1024
"""Bytes above which a line is passed on in pieces."""

_READ_SIZE = 64 * 1024

_FINAL_READS = 64
"""Reads at the end, 4 MiB: a grandchild that holds the pipe may write for ever."""


_stderr_log = logging.getLogger("bridgepool.stderr")


def log_lines_of(process: str) -> Callable[[str], None] | None:
    """What passes a process's lines on to the log under its name; None if nobody listens."""
    if not _stderr_log.isEnabledFor(logging.INFO):
        return None

    def log(line: str) -> None:
        _stderr_log.info("%s: %s", process, line, extra={"worker": process})

    return log


class Output:
    """Drains one pipe on the event loop, so that the child never blocks on it."""

    def __init__(self, fd: int, on_line: Callable[[str], None] | None = None) -> None:
        os.set_blocking(fd, False)
        self._loop = asyncio.get_running_loop()
        self._fd: int | None = fd
        self._on_line = on_line
        self._kept = bytearray()
        self._line = bytearray()
        self._loop.add_reader(fd, self._read)

    def tail(self) -> str:
        """The last 64 KiB."""
        return self._kept[-KEPT:].decode("utf-8", "replace")

    def close(self) -> None:
        """Take what is in the pipe and close it."""
        for _ in range(_FINAL_READS):
            if self._fd is None or not self._read():
                break
        self._close()

    def _read(self) -> bool:
        assert self._fd is not None
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return False
        if not data:
            self._close()
            return False
        self._kept += data
        if len(self._kept) > 2 * KEPT:
            del self._kept[:-KEPT]
        if self._on_line is not None:
            self._split(data, self._on_line)
        return True

    def _split(self, data: bytes, on_line: Callable[[str], None]) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            on_line((self._line + line).decode("utf-8", "replace"))
            self._line.clear()
        self._line += rest
        if len(self._line) > MAX_LINE:
            self._end_line()

    def _end_line(self) -> None:
        if self._line and self._on_line is not None:
            self._on_line(self._line.decode("utf-8", "replace"))
        self._line.clear()

    def _close(self) -> None:
        if self._fd is None:
            return
        self._loop.remove_reader(self._fd)
        close_end(self._fd)
        self._fd = None
        self._end_line()
