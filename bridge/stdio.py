"""The private descriptors of the wire, taken before any user code is imported."""

from __future__ import annotations

import os
import sys


def take_stdio() -> tuple[int, int]:
    """Move fds 0 and 1 to private descriptors and return them as (reading, writing).

    Afterwards fd 0 is the null device and fd 1 is stderr, so that `input()`,
    `print`, `os.write(1, ...)` and a child process cannot reach the wire.
    """
    sys.stdout.flush()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    reading = _private_copy(0)
    writing = _private_copy(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return reading, writing


def _private_copy(fd: int) -> int:
    copy = os.dup(fd)
    os.set_inheritable(copy, False)
    os.set_blocking(copy, True)
    return copy
