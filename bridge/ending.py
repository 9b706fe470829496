"""When a bridge ends: SIGTERM, and end of file while a call runs."""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

END_GRACE = 0.8
"""Seconds from end of file to the end of the process: within one second, whatever still runs."""


class Stop(Protocol):
    """What tells the bridge to end once it has answered what it was sent."""

    requested: bool

    @property
    def fd(self) -> int:
        """Can be read once it is requested, and perhaps at other times."""
        ...

    def drain(self) -> None:
        """Have it not be read until there is news."""
        ...


class StopSignal:
    """SIGTERM as a flag and a readable descriptor; SIGINT is ignored.

    Nothing is raised into running code: a call that is under way finishes,
    and whoever waits for the next frame waits on `fd` too. That can be read
    after any signal that Python handles: `drain` it if none was SIGTERM.
    """

    def __init__(self) -> None:
        self.requested = False
        self.fd, self._wake_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def install(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_signal)
        # A signal that another thread gets, or that comes just before a system call, does not
        # interrupt it, and the handler would run when it returns.
        signal.set_wakeup_fd(self._wake_fd, warn_on_full_buffer=False)

    def drain(self) -> None:
        """Forget all signals so far but SIGTERM."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        if self.requested:  # since a moment ago
            self._wake()

    def _on_signal(self, _number: int, _frame: object) -> None:
        self.requested = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe is readable already
            os.write(self._wake_fd, b"!")


def watch_for_end_of_file(fd: int) -> None:
    """End the process soon after the other end of `fd` is closed, whatever runs then.

    The main thread has `END_GRACE` to finish by itself. A poll with no
    events asked for wakes on hang-up only and takes no bytes from the wire. A
    call that holds the GIL keeps this thread from running; for that there is
    the pool's lifeline.
    """
    # Not `threading.Thread`, whose `start` waits until the thread has run.
    _thread.start_new_thread(_watch, (fd,))


def _watch(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, 0)
    poll.poll()
    exit_after(END_GRACE, 0)


def end_if_nobody_reads(stop: Stop, piece_under_way: Callable[[], int | None]) -> None:
    """End the process if, once that is requested, a write is stuck for `END_GRACE`.

    `piece_under_way` numbers the writes, and is None while there is none. The
    main thread may be the one that is stuck, and then cannot see to it.
    """
    _thread.start_new_thread(_watch_writes, (stop, piece_under_way))


def _watch_writes(stop: Stop, piece_under_way: Callable[[], int | None]) -> None:
    poll = select.poll()
    poll.register(stop.fd, select.POLLIN)
    while not stop.requested:
        poll.poll()
        time.sleep(END_GRACE / 10)  # it may have been another signal, which is not drained yet
    before = None
    while (piece := piece_under_way()) is None or piece != before:
        before = piece
        time.sleep(END_GRACE)
    exit_after(0.0, 0)


def exit_within(seconds: float, status: int) -> None:
    """End the process in at most `seconds`, even if a thread or a task refuses to end."""
    threading.Thread(
        target=exit_after, args=(seconds, status), name="bridge-exit", daemon=True
    ).start()


def exit_after(seconds: float, status: int) -> None:
    time.sleep(seconds)
    try:
        sys.stderr.flush()
    finally:
        os._exit(status)


def exit_status(error: SystemExit) -> int:
    """The status that the interpreter would exit with; words go to stderr."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


def drop_unwritable_output() -> None:
    """Let the interpreter end with its own status though nobody reads its output any more."""
    for stream, fd in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, fd)
            os.close(null)
