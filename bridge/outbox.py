"""The writing end of the wire, shared by the event loop and threads."""

from __future__ import annotations

import asyncio
import threading

from bridge.sender import CutShort, Sender

_PIECE = 64 * 1024
"""Bytes that are written at once: what a pipe holds, unless it was told otherwise (pipe(7))."""


class Outbox(Sender):
    """Frames of one turn of the loop leave in one write, those of a thread at once.

    Made on the loop's thread. A write that a full pipe blocks keeps the
    others waiting; nothing is lost, and no frame gets into another one.
    """

    def __init__(self, sender: Sender, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(sender.write_fd, sender.max_frame_bytes)
        self._loop = loop
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._frames: list[bytes] = []
        self._size = 0
        self._is_open = True
        self._pieces = 0
        self._is_writing = False

    def put(self, frame: bytes) -> None:
        """Have a frame leave: now, or at the end of the turn on the loop's thread."""
        if threading.get_ident() != self._thread:
            self.write(frame)
            return
        if not self._frames:
            self._loop.call_soon(self.flush)
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > _PIECE:
            self.flush()

    def put_long(self, *parts: bytes) -> None:
        """Have a frame leave whose parts are long: nothing may come between them."""
        self.put(b"".join(parts))

    def flush(self) -> None:
        """Write what the loop's thread has sent in this turn."""
        frames, self._frames, self._size = self._frames, [], 0
        if frames:
            self.write(b"".join(frames))

    def write(self, data: bytes) -> None:
        """Write bytes as they are, whole and alone; drop them after `hang_up`."""
        with self._lock:
            if not self._is_open:
                return
            self._is_writing = True
            try:
                for start in range(0, len(data), _PIECE):
                    super().write(data[start : start + _PIECE])
                    self._pieces += 1
            except CutShort:
                self._is_open = False  # what came next would be read as the frame's rest
                raise
            finally:
                self._is_writing = False

    def hang_up(self) -> None:
        """Write what is left, and close the writing end."""
        self.flush()
        with self._lock:
            self._is_open = False
            super().hang_up()

    def piece_under_way(self) -> int | None:
        """A number for the piece that is being written; None if nothing is."""
        return self._pieces if self._is_writing else None
