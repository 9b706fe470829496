"""Frames over a pair of pipes on the event loop."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Callable

from bridge.frames import LONG, FrameDecoder, FrameTooLarge
from bridge.messages.secrets import Secrets
from pool.exchange.ends import Ends
from pool.quotes import excerpt, quote

_log = logging.getLogger("bridgepool")

_NOTHING = memoryview(b"")

_PIECE = 64 * 1024
"""Bytes that are put together for one write: what a pipe holds, unless told otherwise (pipe(7))."""


class PipeLink:
    """Reads on readiness, writes at once and buffers what the pipe does not take.

    It owns the ends of the pipes that it is given.
    It is closed once: by end of file, a broken pipe, a frame over the limit,
    or its owner. After that it delivers nothing.
    """

    def __init__(self, ends: Ends, max_frame_bytes: int, secrets: Secrets) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends = ends
        self._reads = True
        self._writes = True
        self._decoder = FrameDecoder(max_frame_bytes)
        self._secrets = secrets
        self._outbox: deque[bytes | memoryview] = deque()
        self._waits_for_room = False
        self._is_paused = False
        self._is_wide = False
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
        if self._reads:
            self._ends.watch_reading(self._read)

    def is_open(self) -> bool:
        return self._reads and not self._ends.has_hung_up()

    def pause_reading(self) -> None:
        if self._reads and not self._is_paused:
            self._is_paused = True
            self._ends.ignore_reading()

    def resume_reading(self) -> None:
        if self._reads and self._is_paused:
            self._is_paused = False
            self._ends.watch_reading(self._read)

    def write(self, frame: bytes) -> None:
        self.queued += len(frame)
        if not self._writes:
            return
        if self._outbox:
            self._outbox.append(frame)
            return
        if len(frame) > LONG:
            self._widen()
        rest = self._write_some(frame)
        if rest is not _NOTHING and self._writes:
            self._outbox.append(rest)
            self._wait_for_room()

    def write_soon(self, frame: bytes) -> None:
        self.queued += len(frame)
        if not self._writes:
            return
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(frame)

    def drain(self) -> None:
        # No more than has arrived: whoever holds the other end may write for ever.
        left = self._ends.arrived() if self._reads else 0
        while self._reads and left >= 0:
            left -= self._read() or left + 1
        self._close("the process ended")

    def close_write(self) -> None:
        self._closing_write = True
        if not self._outbox:
            self._close_writing()

    def close(self) -> None:
        self._on_frame = self._on_closed = self._on_nonsense = _nobody
        self._close("closed by its owner")

    def _read(self) -> int:
        """Read once and deliver; return the number of bytes."""
        try:
            if self._decoder.is_in_long_frame:
                room = self._decoder.vacancy()
                if room is not None:
                    return self._read_into(room)
            data = self._ends.read()
            payload = self._decoder.whole(data)
            if payload is not None:
                self._on_frame(payload)
                return len(data)
            if not data:
                self._close(self._end_of_file())
            self._decoder.feed(data)
            self._deliver()
        except BlockingIOError:
            return 0
        except Exception as error:
            # Want of memory, say: whoever awaits what was read here would wait for ever.
            self._break(error)
            return 0
        return len(data)

    def _break(self, error: Exception) -> None:
        what = f"what it sent could not be taken in: {type(error).__name__}"
        _log.error("%s\n%s", what, excerpt(self._secrets, traceback.format_exc()))
        self._on_nonsense(what)

    def _read_into(self, room: memoryview) -> int:
        """Read more of a long frame."""
        self._widen()
        try:
            count = self._ends.read_into(room)
        except BlockingIOError:
            return 0
        finally:
            room.release()
        if count:
            self._decoder.fill(count)
            self._deliver()
        else:
            self._close(self._end_of_file())
        return count

    def _widen(self) -> None:
        if not self._is_wide:
            self._is_wide = True
            self._ends.widen()

    def _deliver(self) -> None:
        try:
            # A receiver may close the link in the middle.
            while self._reads:
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
        quoted = quote(self._secrets, partial)
        return f"it closed its end of the pipe in the middle of a frame: {quoted}"

    def _write_some(self, data: bytes | memoryview) -> memoryview:
        """Write what the pipe takes; return the rest."""
        try:
            written = self._ends.write(data)
        except BlockingIOError:
            return memoryview(data)
        except BrokenPipeError:
            # Its last replies may still be in the other pipe: they are read before its end.
            self._outbox.clear()
            self._close_writing()
            self._loop.call_soon(self.drain)
            return _NOTHING
        self.sent += written
        return _NOTHING if written == len(data) else memoryview(data)[written:]

    def _flush(self) -> None:
        while self._outbox and self._writes:
            rest = self._write_some(self._next_piece())
            if rest and self._writes:
                self._outbox.appendleft(rest)
                self._wait_for_room()
                return
        if self._writes:
            if self._waits_for_room:
                self._waits_for_room = False
                self._ends.ignore_writing()
            if self._closing_write:
                self._close_writing()

    def _next_piece(self) -> bytes | memoryview:
        """Take what is to be written next: several frames at once, where they are small."""
        outbox = self._outbox
        piece = outbox.popleft()
        if len(outbox) == 0 or len(piece) >= _PIECE:
            return piece
        pieces, size = [piece], len(piece)
        while outbox and size + len(outbox[0]) <= _PIECE:
            size += len(outbox[0])
            pieces.append(outbox.popleft())
        return b"".join(pieces)

    def _wait_for_room(self) -> None:
        if not self._waits_for_room:
            self._waits_for_room = True
            self._ends.watch_writing(self._flush)

    def _close(self, reason: str) -> None:
        if not self._reads:
            return
        self._reads = False
        self._ends.close_reading()
        self._outbox.clear()
        self._close_writing()
        self._on_closed(reason)

    def _close_writing(self) -> None:
        if self._writes:
            self._writes = False
            self._ends.close_writing()


def _nobody(_: object) -> None:
    """Stand in for a receiver that is not there."""
