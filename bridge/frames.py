"""Length-prefixed frames: bytes in, payloads out, no I/O.

A frame is 4 bytes of big-endian unsigned length, then that many bytes of
payload. Both sides of the wire use this module.
"""

from __future__ import annotations

import struct

DEFAULT_MAX_FRAME_BYTES = 64 * 1024 * 1024

_HEADER = struct.Struct(">I")


class FrameTooLarge(ValueError):
    """A payload of `length` bytes is over the limit of `limit` bytes."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"frame of {length} bytes is over the limit of {limit} bytes")
        self.length = length
        self.limit = limit


def encode(payload: bytes, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> bytes:
    """Return `payload` as one frame; raise `FrameTooLarge` over the limit."""
    length = len(payload)
    if length > max_frame_bytes:
        raise FrameTooLarge(length, max_frame_bytes)
    return _HEADER.pack(length) + payload


class FrameDecoder:
    """Cuts a stream of bytes, however it was chunked, into payloads.

    A frame over the limit is never held in memory: `next` raises
    `FrameTooLarge` once, its bytes are dropped as they arrive, and the frame
    behind it decodes as usual.
    """

    def __init__(self, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> None:
        self._limit = max_frame_bytes
        # What was fed last, and how much of it has been cut off. Most often it is one frame or
        # a few whole ones, which are then copied once.
        self._chunk = b""
        self._start = 0
        # The beginning of a frame, while its rest is to come, and its length once that is known.
        self._begun = bytearray()
        self._wanted = _HEADER.size
        self._to_drop = 0

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that is not complete yet, at most 4 KiB of them."""
        return bytes(self._begun[:4096]) or self._chunk[self._start : self._start + 4096]

    def feed(self, data: bytes) -> None:
        """Add bytes to those that have not been returned yet."""
        if self._to_drop:
            dropped = min(self._to_drop, len(data))
            self._to_drop -= dropped
            data = data[dropped:]
        if self._start < len(self._chunk):
            self._set_aside(0)
        if self._begun:
            self._begun += data
            if len(self._begun) < self._wanted:
                return
            data = bytes(self._begun)
            self._begun = bytearray()
        self._chunk, self._start = data, 0

    def whole(self, data: bytes) -> bytes | None:
        """The payload, if `data` is one frame and nothing else is kept; else None, and feed it."""
        length = len(data) - 4
        clean = not self._begun and not self._to_drop and self._start == len(self._chunk)
        if clean and 0 <= length <= self._limit and int.from_bytes(data[:4]) == length:
            return data[4:]
        return None

    def next(self) -> bytes | None:
        """Return the next payload, or None until more bytes are fed."""
        chunk, start = self._chunk, self._start + 4
        if len(chunk) < start:
            if chunk:
                self._set_aside(_HEADER.size)
            return None
        length = int.from_bytes(chunk[start - 4 : start])
        if length > self._limit:
            self._drop(length)
            raise FrameTooLarge(length, self._limit)
        end = start + length
        if len(chunk) < end:
            self._set_aside(end - self._start)
            return None
        if len(chunk) == end:
            self._chunk, self._start = b"", 0
        else:
            self._start = end
        return chunk[start:end]

    def _set_aside(self, wanted: int) -> None:
        """Keep what is left of the chunk until there are as many bytes as `wanted`."""
        self._begun += memoryview(self._chunk)[self._start :]
        self._wanted = wanted
        self._chunk, self._start = b"", 0

    def _drop(self, length: int) -> None:
        frame_end = self._start + _HEADER.size + length
        self._to_drop = max(0, frame_end - len(self._chunk))
        self._start = min(frame_end, len(self._chunk))
