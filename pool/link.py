"""Frames over a pair of pipes on the event loop."""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from collections.abc import Callable

from bridge.frames import FrameDecoder, FrameTooLarge
from pool.launch.descriptors import close_end

# A buffer of 1 MiB costs several times as much per read: the allocator maps and unmaps it.
_READ_SIZE = 64 * 1024


class PipeLink:
    """Reads on readiness, writes at once and buffers what the pipe does not take.

    It is closed once: by end of file, a broken pipe, a frame over the limit,
    or its owner. After that it delivers nothing.
    """

    def __init__(self, read_fd: int, write_fd: int, max_frame_bytes: int) -> None:
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self._loop = asyncio.get_running_loop()
        self._read_fd: int | None = read_fd
        self._write_fd: int | None = write_fd
        self._hang_up = select.poll()
        self._hang_up.register(read_fd, 0)
        self._decoder = FrameDecoder(max_frame_bytes)
        self._outbox: deque[memoryview] = deque()
        self._closing_write = False
        self._on_frame: Callable[[bytes], None] = _nobody
        self._on_closed: Callable[[str], None] = _nobody
        self._on_nonsense: Callable[[str], None] = _nobody
        self.queued = 0
        self.sent = 0

    def start(
        self,
        on_frame: Callable[[bytes], None],
        on_closed: Callable[[str], None],
        on_nonsense: Callable[[str], None],
    ) -> None:
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._on_nonsense = on_nonsense
        if self._read_fd is not None:
            self._loop.add_reader(self._read_fd, self._read)

    def is_open(self) -> bool:
        return self._read_fd is not None and not self._hang_up.poll(0)

    def write(self, frame: bytes) -> None:
        self.queued += len(frame)
        if self._write_fd is None:
            return
        if self._outbox:
            self._outbox.append(memoryview(frame))
            return
        rest = self._write_some(memoryview(frame))
        if rest and self._write_fd is not None:
            self._outbox.append(rest)
            self._loop.add_writer(self._write_fd, self._flush)

    def drain(self) -> None:
        while self._read_fd is not None:
            if not self._read():
                self._close("the process ended")

    def close_write(self) -> None:
        self._closing_write = True
        if not self._outbox:
            self._close_write_fd()

    def close(self) -> None:
        self._on_frame = self._on_closed = self._on_nonsense = _nobody
        self._close("closed by its owner")

    def _read(self) -> bool:
        """Read once and deliver; False if there was nothing to read."""
        assert self._read_fd is not None
        try:
            data = os.read(self._read_fd, _READ_SIZE)
        except BlockingIOError:
            return False
        if not data:
            self._close(self._end_of_file())
            return True
        self._decoder.feed(data)
        self._deliver()
        return True

    def _deliver(self) -> None:
        try:
            # A receiver may close the link in the middle.
            while self._read_fd is not None:
                payload = self._decoder.next()
                if payload is None:
                    return
                self._on_frame(payload)
        except FrameTooLarge as error:
            self._on_nonsense(f"it announced a {error}")

    def _end_of_file(self) -> str:
        partial = self._decoder.pending
        if not partial:
            return "it closed its end of the pipe"
        return f"it closed its end of the pipe in the middle of a frame: {partial[:64]!r}"

    def _write_some(self, data: memoryview) -> memoryview:
        """Write what the pipe takes; return the rest."""
        assert self._write_fd is not None
        try:
            written = os.write(self._write_fd, data)
        except BlockingIOError:
            return data
        except BrokenPipeError:
            # Its last replies may still be in the other pipe: they are read before its end.
            self._outbox.clear()
            self._close_write_fd()
            self._loop.call_soon(self.drain)
            return data[:0]
        self.sent += written
        return data[written:]

    def _flush(self) -> None:
        while self._outbox and self._write_fd is not None:
            rest = self._write_some(self._outbox[0])
            if self._outbox and not rest:
                self._outbox.popleft()
            elif self._outbox:
                self._outbox[0] = rest
                return
        if self._write_fd is not None:
            self._loop.remove_writer(self._write_fd)
            if self._closing_write:
                self._close_write_fd()

    def _close(self, reason: str) -> None:
        if self._read_fd is None:
            return
        self._loop.remove_reader(self._read_fd)
        close_end(self._read_fd)
        self._read_fd = None
        self._outbox.clear()
        self._close_write_fd()
        self._on_closed(reason)

    def _close_write_fd(self) -> None:
        if self._write_fd is not None:
            self._loop.remove_writer(self._write_fd)
            close_end(self._write_fd)
            self._write_fd = None


def _nobody(_: object) -> None:
    """Stand in for a receiver that is not there."""
