"""Our ends of the pipes, and keeping them out of an application's forked children.

A child of `os.fork` (multiprocessing, a prefork server) holds copies of all
our descriptors, and while it lives no worker would ever see end of file or
lose its lifeline. So they are closed there, at once.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import termios
import threading

_NOEXEC_SEAL = 8
"""MFD_NOEXEC_SEAL, of Linux 6.3 and later, which logs that it is missing (memfd_create(2))."""

_lock = threading.Lock()
_open: set[int] = set()
_forks = 0


def open_pipe() -> tuple[int, int]:
    """Return (reading end, writing end); forked children do not keep them."""
    with _lock:
        ends = os.pipe2(os.O_CLOEXEC)
        _open.update(ends)
    return ends


def open_socket_pair() -> tuple[int, int]:
    """Return two connected Unix stream sockets; forked children do not keep them."""
    with _lock:
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ends = (pair[0].detach(), pair[1].detach())
        _open.update(ends)
    return ends


def open_memory() -> int:
    """Return a file in memory that has no name; forked children do not keep it.

    Raises `OSError` where the kernel makes none.
    """
    with _lock:
        fd = _new_memory()
        _open.add(fd)
    return fd


def _new_memory() -> int:
    try:
        fd = os.memfd_create("bridgepool", os.MFD_CLOEXEC | _NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create("bridgepool", os.MFD_CLOEXEC)  # which lets nobody seal it
    # Whoever else has it could forbid us to write or to shorten it.
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
    return fd


def arrived(fd: int) -> int:
    """How many bytes are in a pipe now: what can be read without waiting for anybody."""
    (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))
    return int(count)


def close_end(fd: int) -> None:
    """Close one end."""
    with _lock:
        _open.discard(fd)
        os.close(fd)


def adopt_descriptor(fd: int) -> int:
    """Keep any other descriptor out of forked children; close it with `close_end`."""
    with _lock:
        _open.add(fd)
    return fd


def fork_count() -> int:
    """How many forks lie between this process and the one that first imported this module."""
    return _forks


def _forget_in_child() -> None:
    global _forks
    _forks += 1
    for fd in _open:
        with contextlib.suppress(OSError):
            os.close(fd)
    _open.clear()
    _lock.release()


# The lock is held across the fork, so that no pipe is half registered in the child.
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forget_in_child
)
