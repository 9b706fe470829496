"""Frames over the bridge's private descriptors."""

from __future__ import annotations

import os
import select

from bridge.frames import FrameDecoder
from bridge.memory import Memory
from bridge.sender import Sender

_READ_SIZE = 64 * 1024
"""What a pipe holds, unless it was told otherwise (pipe(7))."""


class Wire(Sender):
    """Blocking frames over one pair of descriptors."""

    def __init__(
        self, read_fd: int, write_fd: int, max_frame_bytes: int, memory: Memory | None = None
    ) -> None:
        super().__init__(write_fd, max_frame_bytes)
        self.memory = memory
        self.read_fd = read_fd
        self.is_at_end = False
        self._decoder = FrameDecoder(max_frame_bytes)
        self.next_payload = self._decoder.next
        """Returns a payload that has arrived; None if more must be read first. Raises
        `FrameTooLarge` once for each frame that was refused.
        """
        self._poll = select.poll()
        self._poll.register(read_fd, select.POLLIN)

    def is_readable(self) -> bool:
        """Whether `read` would return at once."""
        return bool(self._poll.poll(0))

    def read(self) -> bytes | None:
        """Read once; return the payload if that was one frame, as mostly it is.

        Of anything else `next_payload` tells afterwards. Sets `is_at_end` at end of file.
        """
        if self._decoder.is_in_long_frame:
            room = self._decoder.vacancy()
            if room is not None:
                self._read_into(room)
                return None
        data = os.read(self.read_fd, _READ_SIZE)
        payload = self._decoder.whole(data)
        if payload is None:
            self.is_at_end = not data
            self._decoder.feed(data)
        return payload

    def _read_into(self, room: memoryview) -> None:
        """Read more of a long frame."""
        with room:
            count = os.readv(self.read_fd, [room])
        self.is_at_end = not count
        self._decoder.fill(count)
