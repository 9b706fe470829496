"""Where in its life the process fails, and how: armed beforehand, it happens once."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from bridge.wire import Wire

Where = Literal["starting", "idle", "reading", "running", "writing", "closing"]
"""In `on_start`; between two calls, in a thread of its own; with a part of the next request read;
in the command `work`; with half of the next reply written; when it is asked to shut down."""

How = Literal[
    "exit-0",
    "exit-3",
    "exception",
    "sigkill",
    "sigsegv",
    "abort",
    "sigstop",
    "out-of-memory",
    "closed-stdout",
    "garbage",
]
"""The last two live on without doing anything; memory runs out as a `MemoryError`."""

FOREVER = 3600.0
"""Seconds; longer than any test."""

PART = 1024
"""Bytes that are read of a request."""

HEADROOM = 256 * 1024 * 1024
"""Bytes above what it has that a process whose memory runs out may still get."""

GARBAGE = b"\xff" * 4096
"""At the start of a frame a length over every limit; in the middle of one, what is no JSON."""


class Vice(Struct, frozen=True):
    """A failure to come. Of several workers only the one that can remove `token` has it."""

    where: Where
    how: How
    token: str | None = None


_armed: Vice | None = None


def arm(vice: Vice) -> None:
    """Have the process fail the next time that it is there."""
    global _armed
    if vice.token is not None and not _take(vice.token):
        return
    _armed = vice
    match vice.where:
        case "idle":
            _intercept("write", _write_and_idle)
        case "reading":
            _intercept("read", _read_a_part)
        case "writing":
            _intercept("write", _write_and_intercept_the_next)


def reach(where: Where) -> None:
    """Fail if that was armed for here; say so first."""
    global _armed
    if _armed is None or _armed.where != where:
        return
    how, _armed = _armed.how, None
    print(f"faulty: {how} while {where}", file=sys.stderr, flush=True)
    _WAYS[how]()


def _take(token: str) -> bool:
    try:
        Path(token).unlink()
    except FileNotFoundError:
        return False
    return True


def _wire() -> Wire:
    """The only one there is; outside a call nothing else leads to it."""
    return next(found for found in gc.get_objects() if type(found) is Wire)


# How


def _raise() -> None:
    raise RuntimeError("faulty: told to raise")


def _run_out_of_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = pages * resource.getpagesize() + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    bytearray(2 * HEADROOM)


def _close_stdout() -> None:
    os.close(_wire().write_fd)
    time.sleep(FOREVER)


def _write_garbage() -> None:
    os.write(_wire().write_fd, GARBAGE)
    time.sleep(FOREVER)


_WAYS: dict[How, Callable[[], object]] = {
    "exit-0": partial(os._exit, 0),
    "exit-3": partial(os._exit, 3),
    "exception": _raise,
    "sigkill": partial(signal.raise_signal, signal.SIGKILL),
    "sigsegv": partial(ctypes.string_at, 0),
    "abort": os.abort,
    "sigstop": partial(signal.raise_signal, signal.SIGSTOP),
    "out-of-memory": _run_out_of_memory,
    "closed-stdout": _close_stdout,
    "garbage": _write_garbage,
}


# Where: around the system calls of the wire


def _intercept(
    name: Literal["read", "write"], instead: Callable[[Callable[..., Any], Any], Any]
) -> None:
    """Have `instead` do the wire's next `os.read` or `os.write`; it is given the real one."""
    real = getattr(os, name)
    fd = _wire().read_fd if name == "read" else _wire().write_fd

    def call(of: int, what: Any) -> Any:
        if of != fd:
            return real(of, what)
        setattr(os, name, real)
        return instead(partial(real, fd), what)

    setattr(os, name, call)


def _read_a_part(read: Callable[[int], bytes], _size: int) -> bytes:
    data = read(PART)
    reach("reading")
    return data


def _write_half(write: Callable[[memoryview], int], reply: memoryview) -> int:
    written = write(reply[: len(reply) // 2])
    reach("writing")
    return written


def _write_and_intercept_the_next(write: Callable[[memoryview], int], reply: memoryview) -> int:
    _intercept("write", _write_half)
    return write(reply)


def _write_and_idle(write: Callable[[memoryview], int], reply: memoryview) -> int:
    written = write(reply)
    # No request is read before it is over.
    thread = threading.Thread(target=reach, args=("idle",))
    thread.start()
    thread.join()
    return written
