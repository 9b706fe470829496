"""The two files of a worker's memory: one that this side writes, one that the other side does."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections.abc import Iterable

from msgspec import Raw, json

from bridge.messages.memory import Placed
from bridge.messages.memory.arrays import Buffer, bytes_of
from bridge.messages.memory.held import Held
from bridge.messages.memory.large import Large
from bridge.messages.memory.regions import Regions

KEPT = 1024 * 1024
"""Bytes of a file that stay although nothing is in them: a file of that size need not be emptied
and filled with new pages for each call."""

MAPPED = 4 * 1024 * 1024
"""Bytes from which a value has pages of its own, which return to the kernel with it. Fewer come
from the heap, which is faster: new pages cost as much as what is copied into them."""

_ALWAYS_MAPPED = 33 * 1024 * 1024
"""Bytes that malloc never takes from its heap, whose top it would keep: above the highest value
of its own threshold, 32 MiB (mallopt(3), M_MMAP_THRESHOLD)."""

_encode_table = json.Encoder().encode


class Changed(ValueError):
    """A value has another size than when it was given to be sent."""


class Outgoing:
    """The file that this side writes. It says what is where, and gives back what was read.

    May be used by several threads.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._regions = Regions()
        self._size = 0
        self._lock = threading.Lock()

    def place(self, call: int, values: Iterable[Large]) -> Raw:
        """Write the values of a message; return what it has to say of them.

        Raises `OSError` if there is no room, or `Changed`; then nothing is kept.
        """
        try:
            table = [self._place(call, large) for large in values]
        except BaseException:
            self.release(call)
            raise
        return Raw(_encode_table(table))

    def release(self, call: int) -> None:
        """The values of that message have been read, or will never be."""
        with self._lock:
            self._regions.give_back(call)

    def trim(self) -> None:
        """Give back what is empty at the end of the file, if that is much.

        Not after each message: new pages cost as much as what is copied into them.
        """
        with self._lock:
            if self._size - self._regions.end > KEPT:
                self._cut()

    def _cut(self) -> None:
        with contextlib.suppress(OSError):  # it is an economy
            os.ftruncate(self._fd, self._regions.end)
            self._size = self._regions.end

    def close(self) -> None:
        """Write nothing any more: the descriptor's number may soon be another's."""
        self._fd = -1

    def _place(self, call: int, large: Large) -> Placed:
        data = _bytes_of(large)
        if len(data) != large.size:
            raise Changed(f"{large.at!r} was changed before it was sent")
        with self._lock:
            offset = self._regions.take(call, large.size)
            self._size = max(self._size, offset + large.size)
            if large.size >= MAPPED and self._size > self._regions.end:
                self._cut()  # see `Incoming._room_for`
        written = 0
        while written < large.size:
            written += os.pwrite(self._fd, data[written:], offset + written)
        if large.type == "bytes":
            return Placed(large.at, offset, large.size, "bytes")
        array = large.value
        return Placed(large.at, offset, large.size, "ndarray", array.dtype.str, array.shape)


class Incoming:
    """The file that the other side writes, and may have cut short."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, table: Iterable[Placed]) -> dict[str | None, Held]:
        """The values of a message, by their names; raise `ValueError` if one is not there."""
        return {placed.at: Held(placed, self._read(placed)) for placed in table}

    def close(self) -> None:
        """Read nothing any more."""
        self._fd = -1

    def _read(self, placed: Placed) -> Buffer:
        if placed.type == "bytes":
            return self._read_bytes(placed)
        buffer = _empty_buffer(placed.size)
        read = 0
        while read < placed.size:
            count = os.preadv(self._fd, [memoryview(buffer)[read:]], placed.offset + read)
            _check_there(count, placed)
            read += count
        return buffer

    def _read_bytes(self, placed: Placed) -> bytes:
        try:
            data = os.pread(self._fd, self._room_for(placed), placed.offset)[: placed.size]
        except MemoryError:  # the address space may be limited
            data = os.pread(self._fd, placed.size, placed.offset)
        while len(data) < placed.size:  # the kernel reads less than 2 GiB at once (read(2))
            more = os.pread(self._fd, placed.size - len(data), placed.offset + len(data))
            _check_there(len(more), placed)
            data += more
        return data

    def _room_for(self, placed: Placed) -> int:
        """How many bytes to ask for: more than there are, where nothing follows them.

        Python shortens what it has got for as many, and malloc a mapping without moving it.
        """
        is_last = os.fstat(self._fd).st_size == placed.offset + placed.size
        return (
            max(placed.size, _ALWAYS_MAPPED) if is_last and placed.size >= MAPPED else placed.size
        )


def _check_there(count: int, placed: Placed) -> None:
    if not count:
        raise ValueError(f"`memory` ends before the {placed.size} bytes at {placed.offset}")


def _bytes_of(large: Large) -> memoryview:
    data = bytes_of(large.value) if large.type == "ndarray" else large.value
    return memoryview(data).cast("B")


def _empty_buffer(size: int) -> Buffer:
    if size < MAPPED:
        return bytearray(size)
    buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # of a kernel without them
        # Filling them costs a tenth of what as many small ones take; numpy asks for them too.
        buffer.madvise(mmap.MADV_HUGEPAGE)
    return buffer
