"""The writing end of the wire: whole frames, one after the other."""

from __future__ import annotations

import contextlib
import os
import sys

from msgspec import Struct

from bridge.frames import LONG, FrameTooLarge, encode, header
from bridge.messages import to_json


class ResultTooLarge(ValueError):
    """A message is over the limit of a frame."""


class CutShort(SystemExit):
    """A frame may be half written, and what came next be read as its rest: the bridge must end."""


class Sender:
    """Blocking writes on one descriptor.

    A frame that meets a broken pipe is dropped and noted on stderr: whether
    to end is decided by end of file on the reading side, not here.
    """

    def __init__(self, write_fd: int, max_frame_bytes: int) -> None:
        self.write_fd = write_fd
        self.max_frame_bytes = max_frame_bytes

    def send(self, message: Struct) -> None:
        """Send a message whole, or raise `ResultTooLarge` and send nothing."""
        try:
            frame = encode(to_json(message), self.max_frame_bytes)
        except FrameTooLarge as error:
            raise ResultTooLarge(f"the result is too large to send: {error}") from None
        self.put(frame)

    def send_parts(self, head: bytes, body: bytes, tail: bytes) -> None:
        """Send a message that is encoded already, as `send` does, a long body without a copy."""
        try:
            if len(body) < LONG:
                self.put(encode(head + body + tail, self.max_frame_bytes))
            else:
                begin = header(len(head) + len(body) + len(tail), self.max_frame_bytes)
                self.put_long(begin + head, body, tail)
        except FrameTooLarge as error:
            raise ResultTooLarge(f"the result is too large to send: {error}") from None

    def put_long(self, *parts: bytes) -> None:
        """Have a frame leave whose parts are long."""
        for part in parts:
            self.write(part)

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

    put = write
    """How a frame leaves."""
