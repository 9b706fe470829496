"""The pool's side of a worker's lifeline; `bridge/lifeline.py` tells what it is."""

from __future__ import annotations

import fcntl
import os
import signal


def guard(fd: int, pid: int) -> None:
    """Have the process group that `pid` leads killed when the writing end of `fd` is closed."""
    fcntl.fcntl(fd, fcntl.F_SETOWN, -pid)
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC)
