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

    def read(self) -> bool:
        """Read once, all that a pipe holds; False at end of file."""
        data = os.read(self.read_fd, _READ_SIZE)
        self._decoder.feed(data)
        return bool(data)
