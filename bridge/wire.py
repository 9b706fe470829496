"""Frames over the bridge's private descriptors."""

from __future__ import annotations

import contextlib
import os
import select
import sys

from bridge.frames import FrameDecoder, FrameTooLarge, encode
from bridge.messages import Failure, Item, Success, to_json

_READ_SIZE = 64 * 1024
"""What a pipe holds, unless it was told otherwise (pipe(7))."""


class ResultTooLarge(ValueError):
    """A message is over the limit of a frame."""


class CutShort(SystemExit):
    """A frame may be half written, and what came next be read as its rest: the bridge must end."""


class Wire:
    """Blocking frames over one pair of descriptors.

    A frame that meets a broken pipe is dropped and noted on stderr: whether
    to end is decided by end of file on the reading side, not here.
    """

    def __init__(self, read_fd: int, write_fd: int, max_frame_bytes: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self._max_frame_bytes = max_frame_bytes
        self._decoder = FrameDecoder(max_frame_bytes)

    def next_payload(self) -> bytes | None:
        """Return a payload that has arrived; None if more must be read first.

        Raises `FrameTooLarge` once for each frame that was refused.
        """
        return self._decoder.next()

    def is_readable(self) -> bool:
        """Whether `read` would return at once."""
        poll = select.poll()
        poll.register(self.read_fd, select.POLLIN)
        return bool(poll.poll(0))

    def read(self) -> bool:
        """Read once, all that a pipe holds; False at end of file."""
        data = os.read(self.read_fd, _READ_SIZE)
        self._decoder.feed(data)
        return bool(data)

    def send(self, message: Success | Failure | Item) -> None:
        """Send a message whole, or raise `ResultTooLarge` and send nothing."""
        try:
            frame = encode(to_json(message), self._max_frame_bytes)
        except FrameTooLarge as error:
            raise ResultTooLarge(f"the result is too large to send: {error}") from None
        self.write(frame)

    def hang_up(self) -> None:
        """Close the writing end: whoever is about to send a request sees that nobody answers it."""
        os.close(self.write_fd)

    def write(self, data: bytes) -> None:
        """Write bytes as they are; raise `CutShort` where an exception, of a signal handler say,
        comes in between.
        """
        try:
            written = os.write(self.write_fd, data)
            while written < len(data):
                written += os.write(self.write_fd, memoryview(data)[written:])
        except BrokenPipeError:
            with contextlib.suppress(OSError):  # nobody may read stderr either
                print("bridge: nobody reads the replies any more; one was dropped", file=sys.stderr)
        except Exception as error:
            # How much has left is not known: it may have come when the kernel had taken a part.
            raise CutShort(f"bridge: a reply was cut short by {error!r}") from error
