"""The pool's end of the connection to a template: orders out, messages and descriptors in."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bridge.frames import FrameDecoder
from bridge.frames import encode as frame
from bridge.messages.template import (
    MAX_MESSAGE,
    MAX_ORDER,
    Fork,
    FromTemplate,
    Load,
    decode_from_template,
    encode,
)
from pool.launch.descriptors import adopt_descriptor, close_end

MAX_FDS = 64
"""Descriptors that may have come without their messages; one that sends more makes no sense."""

_READ_SIZE = 64 * 1024


class Control:
    """Delivers messages until it is closed, by its owner alone.

    `on_end` is told, in words, of the end of the connection or of what cannot
    be a message. Descriptors that nobody took are closed with it.
    """

    def __init__(
        self,
        fd: int,
        on_message: Callable[[FromTemplate], None],
        on_end: Callable[[], None],
        on_nonsense: Callable[[str], None],
    ) -> None:
        os.set_blocking(fd, False)
        self.is_open = True
        self._fd = fd
        self._on_message = on_message
        self._on_end = on_end
        self._on_nonsense = on_nonsense
        self._loop = asyncio.get_running_loop()
        self._outbox = memoryview(b"")
        self._decoder = FrameDecoder(MAX_MESSAGE)
        self._fds: list[int] = []
        self._loop.add_reader(fd, self._read)

    def send(self, order: Load) -> None:
        """Send an order, whose options may be larger than what the socket takes at once."""
        self._outbox = memoryview(frame(encode(order), MAX_ORDER))
        self._flush()

    def send_with_fds(self, order: Fork, fds: list[int]) -> None:
        """Send a small order, which goes whole or not at all; raise `OSError` if it does not."""
        with _borrowed(self._fd) as control:
            socket.send_fds(control, [frame(encode(order))], fds)

    def take_fd(self) -> int | None:
        """The oldest descriptor that came and was not taken, which is the caller's from now on."""
        return self._fds.pop(0) if self._fds else None

    def close(self) -> None:
        """Hang up; nothing is delivered any more."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        for fd in (self._fd, *self._fds):
            close_end(fd)

    def _flush(self) -> None:
        try:
            written = os.write(self._fd, self._outbox)
        except BlockingIOError:
            written = 0
        except OSError:
            written = len(self._outbox)  # it has ended; whoever reads is told
        self._outbox = self._outbox[written:]
        if self._outbox:
            self._loop.add_writer(self._fd, self._flush)
        else:
            self._loop.remove_writer(self._fd)

    def _read(self) -> None:
        try:
            data, fds = self._receive()
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self._fds += map(adopt_descriptor, fds)
        self._decoder.feed(data)
        while self.is_open and (message := self._next()) is not None:
            self._on_message(message)
        if self.is_open and len(self._fds) > MAX_FDS:
            self._on_nonsense("it sent descriptors without messages")
        elif self.is_open and not data:
            self._on_end()

    def _receive(self) -> tuple[bytes, list[int]]:
        with _borrowed(self._fd) as control:
            data, fds, _, _ = socket.recv_fds(control, _READ_SIZE, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
        return data, fds

    def _next(self) -> FromTemplate | None:
        try:
            payload = self._decoder.next()
            return None if payload is None else decode_from_template(payload)
        except (ValueError, RecursionError) as error:
            self._on_nonsense(f"it sent what is no message: {error}")
            return None


@contextmanager
def _borrowed(fd: int) -> Iterator[socket.socket]:
    """The descriptor as a socket, for a moment: one that was kept would close its number again
    in a child that the application forks, where by then it may be another's.
    """
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        yield control
    finally:
        control.detach()
