"""Length-prefixed frames: bytes in, payloads out, no I/O.

A frame is 4 bytes of big-endian unsigned length, then that many bytes of
payload. Both sides of the wire use this module.
"""

from __future__ import annotations

import struct
from typing import cast

DEFAULT_MAX_FRAME_BYTES = 64 * 1024 * 1024

LONG = 64 * 1024
"""Bytes of a payload from which on it is not put together from pieces."""

_HEADER = struct.Struct(">I")


class FrameTooLarge(ValueError):
    """A payload of `length` bytes is over the limit of `limit` bytes."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"frame of {length} bytes is over the limit of {limit} bytes")
        self.length = length
        self.limit = limit


def header(length: int, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> bytes:
    """What comes before a payload of `length` bytes; raise `FrameTooLarge` over the limit."""
    if length > max_frame_bytes:
        raise FrameTooLarge(length, max_frame_bytes)
    return _HEADER.pack(length)


def encode(payload: bytes, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> bytes:
    """Return `payload` as one frame; raise `FrameTooLarge` over the limit."""
    length = len(payload)
    if length > max_frame_bytes:
        raise FrameTooLarge(length, max_frame_bytes)
    return _HEADER.pack(length) + payload


class _LongFrame:
    """A payload that is read into its place.

    `filled` of its `length` bytes have come. No more room is made at once than
    has been filled already, whatever was announced.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self.filled = 0
        self.payload = bytearray(min(length, LONG))

    def vacancy(self) -> memoryview | None:
        """Where the next bytes belong; None when all are there."""
        if self.filled == self.length:
            return None
        if self.filled == len(self.payload):
            self.payload += bytes(min(self.filled, self.length - self.filled))
        return memoryview(self.payload)[self.filled :]

    def put(self, data: bytes) -> bytes:
        """Take the bytes that belong to it; return those that are behind it."""
        while data and (room := self.vacancy()) is not None:
            taken = min(len(room), len(data))
            room[:taken] = memoryview(data)[:taken]
            room.release()
            self.filled += taken
            data = data[taken:]
        return data

    def beginning(self, count: int) -> bytes:
        """The frame's first bytes, its length among them."""
        return _HEADER.pack(self.length) + self.payload[: min(self.filled, count - _HEADER.size)]


class FrameDecoder:
    """Cuts a stream of bytes, however it was chunked, into payloads.

    `is_in_long_frame` says that there may be a vacancy to read into.
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
        self._long: _LongFrame | None = None
        self.is_in_long_frame = False

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that is not complete yet, at most 4 KiB of them."""
        if self._long is not None:
            return self._long.beginning(4096)
        return bytes(self._begun[:4096]) or self._chunk[self._start : self._start + 4096]

    def feed(self, data: bytes) -> None:
        """Add bytes to those that have not been returned yet."""
        if self._to_drop:
            dropped = min(self._to_drop, len(data))
            self._to_drop -= dropped
            data = data[dropped:]
        if self._long is not None:
            data = self._long.put(data)
        if self._start < len(self._chunk):
            self._set_aside(0)
        if self._begun:
            self._begun += data
            if len(self._begun) < self._wanted:
                return
            data = bytes(self._begun)
            self._begun = bytearray()
        self._chunk, self._start = data, 0

    def vacancy(self) -> memoryview | None:
        """Where the next bytes belong, if to a long frame: read them there, then `fill`."""
        return None if self._long is None else self._long.vacancy()

    def fill(self, count: int) -> None:
        """So many bytes were read into the vacancy."""
        assert self._long is not None
        self._long.filled += count

    def whole(self, data: bytes) -> bytes | None:
        """The payload, if `data` is one frame and nothing else is kept; else None, and feed it."""
        length = len(data) - 4
        if not 0 <= length <= self._limit or int.from_bytes(data[:4]) != length:
            return None
        if self._begun or self._long is not None or self._to_drop:
            return None
        return data[4:] if self._start == len(self._chunk) else None

    def next(self) -> bytes | None:
        """Return the next payload, or None until more bytes are fed."""
        if self._long is not None:
            if self._long.filled < self._long.length:
                return None
            payload, self._long = self._long.payload, None
            self.is_in_long_frame = False
            return cast(bytes, payload)  # nobody changes it, and a copy would cost as much again
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
            if length > LONG:
                self._long = _LongFrame(length)
                self.is_in_long_frame = True
                self._long.put(chunk[start:])
                self._chunk, self._start = b"", 0
            else:
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
