"""The template's end of the stream to its pool."""

from __future__ import annotations

import os
import socket

from bridge.frames import FrameDecoder
from bridge.frames import encode as frame
from bridge.messages.template import (
    FORK_FDS,
    MAX_MESSAGE,
    MAX_ORDER,
    FromTemplate,
    ToTemplate,
    decode_to_template,
    encode,
)

_READ_SIZE = 64 * 1024
_MAX_FDS = 16 * FORK_FDS


class Control:
    """Blocking messages; descriptors arrive with those that need them."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._decoder = FrameDecoder(MAX_ORDER)
        self._fds: list[int] = []

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def held(self) -> set[int]:
        """Descriptors that have arrived and were not taken yet."""
        return set(self._fds)

    def receive(self) -> ToTemplate | None:
        """Wait for the next message; None when the pool has closed its end."""
        while (message := self.next()) is None:
            if not self.read():
                return None
        return message

    def next(self) -> ToTemplate | None:
        """Return a message that has arrived; None if more must be read first."""
        payload = self._decoder.next()
        return None if payload is None else decode_to_template(payload)

    def read(self) -> bool:
        """Read once; False at end of file."""
        data, fds, _, _ = socket.recv_fds(
            self._socket, _READ_SIZE, _MAX_FDS, socket.MSG_CMSG_CLOEXEC
        )
        self._fds += fds
        self._decoder.feed(data)
        return bool(data)

    def take_fds(self, count: int) -> list[int]:
        """The descriptors that came with the message that was read last."""
        taken, self._fds = self._fds[:count], self._fds[count:]
        return taken

    def send(self, message: FromTemplate, *fds: int) -> None:
        data = frame(encode(message), MAX_MESSAGE)
        sent = socket.send_fds(self._socket, [data], list(fds)) if fds else 0
        self._socket.sendall(data[sent:])

    def close(self) -> None:
        """Close it, and what has arrived and not been taken: it belongs to other workers."""
        self._socket.close()
        for fd in self._fds:
            os.close(fd)
