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
    if len(payload) > max_frame_bytes:
        raise FrameTooLarge(len(payload), max_frame_bytes)
    return _HEADER.pack(len(payload)) + payload


class FrameDecoder:
    """Cuts a stream of bytes, however it was chunked, into payloads.

    A frame over the limit is never held in memory: `next` raises
    `FrameTooLarge` once, its bytes are dropped as they arrive, and the frame
    behind it decodes as usual.
    """

    def __init__(self, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> None:
        self._limit = max_frame_bytes
        self._buffer = bytearray()
        self._start = 0
        self._to_drop = 0

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that is not complete yet, at most 4 KiB of them."""
        return bytes(self._buffer[self._start : self._start + 4096])

    def feed(self, data: bytes) -> None:
        if self._to_drop:
            dropped = min(self._to_drop, len(data))
            self._to_drop -= dropped
            data = data[dropped:]
        self._buffer += data

    def next(self) -> bytes | None:
        """Return the next payload, or None until more bytes are fed."""
        start = self._start + _HEADER.size
        if len(self._buffer) < start:
            self._forget_consumed()
            return None
        (length,) = _HEADER.unpack_from(self._buffer, self._start)
        if length > self._limit:
            self._drop(length)
            raise FrameTooLarge(length, self._limit)
        end = start + length
        if len(self._buffer) < end:
            self._forget_consumed()
            return None
        with memoryview(self._buffer) as view:
            payload = bytes(view[start:end])
        self._start = end
        return payload

    def _drop(self, length: int) -> None:
        frame_end = self._start + _HEADER.size + length
        self._to_drop = max(0, frame_end - len(self._buffer))
        self._start = min(frame_end, len(self._buffer))

    def _forget_consumed(self) -> None:
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
