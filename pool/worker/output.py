"""A child's output for people: drained always, its end kept, passed on line by line."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable

from bridge.messages.secrets import Secrets
from pool.launch.descriptors import arrived, close_end
from pool.worker.lines import Lines

KEPT = 64 * 1024
"""Bytes of output kept for error messages."""

LINES_AT_ONCE = 100
"""Lines passed on in one turn of the loop: a record costs about 10 us, more with slow handlers."""

LAST_LINES = 1_000
"""Lines passed on when the end has come before their turn."""

_READ_SIZE = 64 * 1024

_stderr_log = logging.getLogger("bridgepool.stderr")


def log_lines_of(process: str) -> Callable[[str], None] | None:
    """What passes a process's lines on to the log under its name; None if nobody listens."""
    if not _stderr_log.isEnabledFor(logging.INFO):
        return None

    def log(line: str) -> None:
        _stderr_log.info("%s: %s", process, line, extra={"worker": process})

    return log


class Output:
    """Drains one pipe on the event loop.

    Nothing of it is shown with a secret in it. The child is held up only
    while more of its lines wait to be passed on than one turn of the loop takes.
    """

    def __init__(
        self, fd: int, secrets: Secrets, on_line: Callable[[str], None] | None = None
    ) -> None:
        os.set_blocking(fd, False)
        self._loop = asyncio.get_running_loop()
        self._fd: int | None = fd
        self._secrets = secrets
        self._on_line = on_line
        self._kept = bytearray()
        self._lines = Lines(secrets)
        self._waiting: deque[str] = deque()
        self._listens = False
        self._listen(True)

    def tail(self) -> str:
        """The last 64 KiB."""
        kept = bytes(self._kept)
        start = len(_text(kept[: max(0, len(kept) - KEPT)]))
        shown = self._secrets.hide(_text(kept), start)
        return shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def close(self) -> None:
        """Take what is in the pipe, close it, and pass on the last of the lines."""
        # No more than has arrived: a grandchild that holds the pipe may write for ever.
        left = 0 if self._fd is None else arrived(self._fd)
        while left > 0 and self._fd is not None:
            left -= self._take() or left
        self._close()
        left_out = len(self._waiting) - LAST_LINES
        if left_out > 0:
            last = list(self._waiting)[left_out:]
            self._waiting = deque([f"[{left_out} lines are left out]", *last])
        self._pass_on(len(self._waiting))

    def _read(self) -> None:
        self._take()
        self._turn()

    def _turn(self) -> None:
        """Pass some lines on; read again when all of them are."""
        self._pass_on(LINES_AT_ONCE)
        if self._waiting:
            self._listen(False)
            self._loop.call_soon(self._turn)
        else:
            self._listen(True)

    def _listen(self, listen: bool) -> None:
        if self._fd is None or listen is self._listens:
            return
        self._listens = listen
        if listen:
            self._loop.add_reader(self._fd, self._read)
        else:
            self._loop.remove_reader(self._fd)

    def _pass_on(self, count: int) -> None:
        for _ in range(min(count, len(self._waiting))):
            assert self._on_line is not None
            self._on_line(self._waiting.popleft())

    def _take(self) -> int:
        """Read once; return the number of bytes."""
        assert self._fd is not None
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return 0
        if not data:
            self._close()
            return 0
        self._kept += data
        # What is kept beyond what is shown: a secret may begin there.
        if len(self._kept) > 4 * KEPT:
            del self._kept[: -2 * KEPT]
        if self._on_line is not None:
            self._waiting += self._lines.feed(data)
        return len(data)

    def _close(self) -> None:
        if self._fd is None:
            return
        self._listen(False)
        close_end(self._fd)
        self._fd = None
        if self._on_line is not None:
            self._waiting += self._lines.end()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
