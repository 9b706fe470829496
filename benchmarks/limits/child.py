"""A worker of the limits: reads a frame, does the job, writes a frame.

`python -m benchmarks.limits.child JOB` serves its standard input until end of file; the job is
"echo" or "nap" of JSON, or "bytes", which returns the payload unseen.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from typing import Any

HEADER = struct.Struct(">I")
READ = 64 * 1024


class Frames:
    """Payloads from a blocking descriptor; nothing is read twice, nor copied if it is large."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._data = b""

    def next(self) -> bytes | bytearray:
        """Wait for a payload; raise `EOFError` at end of file."""
        data = self._data
        while len(data) < HEADER.size:
            data += self._some()
        length = HEADER.unpack_from(data)[0]
        end = HEADER.size + length
        self._data = data[end:]
        if len(data) >= end:
            return data[HEADER.size : end]
        return self._rest(data[HEADER.size :], length)

    def _some(self) -> bytes:
        if chunk := os.read(self._fd, READ):
            return chunk
        raise EOFError

    def _rest(self, begun: bytes, length: int) -> bytearray:
        payload = bytearray(length)
        payload[: len(begun)] = begun
        with memoryview(payload) as view:
            have = len(begun)
            while have < length:
                got = os.readv(self._fd, [view[have:]])
                if not got:
                    raise EOFError
                have += got
        return payload


def write_frame(fd: int, payload: bytes | bytearray) -> None:
    """Write a frame to a blocking descriptor."""
    if len(payload) < READ:
        os.write(fd, HEADER.pack(len(payload)) + payload)
        return
    os.write(fd, HEADER.pack(len(payload)))
    with memoryview(payload) as view:
        sent = 0
        while sent < len(payload):
            sent += os.write(fd, view[sent:])


def _answer(job: str) -> Callable[[Any], Any]:
    if job == "bytes":
        return lambda payload: payload
    import msgspec

    from benchmarks.jobs import JOBS

    decode, do, encode = msgspec.json.Decoder().decode, JOBS[job], msgspec.json.Encoder().encode
    return lambda payload: encode(do(decode(payload)))


def main(job: str) -> None:
    answer, frames = _answer(job), Frames(0)
    try:
        while True:
            write_frame(1, answer(frames.next()))
    except (EOFError, BrokenPipeError):
        pass


if __name__ == "__main__":
    main(sys.argv[1])
