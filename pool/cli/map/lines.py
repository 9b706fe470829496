"""The lines of a file of any length, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

BLOCK = 256 * 1024
"""Bytes that are read at a time."""

Line = bytes | None
"""A line without its end; None for one that is too long to be kept."""


class Lines:
    """Reads a file in blocks of lines. A line above `most` bytes, at least `BLOCK`, is not kept.

    When all blocks were read, `size` bytes were, and `rest` is what has followed
    the last end of a line.
    """

    def __init__(self, file: BinaryIO, most: int, block: int = BLOCK) -> None:
        self._file = file
        self._most = most
        self._block = block
        self._pieces: list[bytes] = []
        self._length = 0
        self.size = 0

    def __iter__(self) -> Iterator[list[Line]]:
        while data := self._file.read(self._block):
            self.size += len(data)
            first, *others = data.split(b"\n")
            self._add(first)
            if others:
                lines = [self.rest, *others]
                self._pieces, self._length = [], 0
                self._add(others[-1])
                lines.pop()
                yield lines

    def to_the_end(self) -> Iterator[list[Line]]:
        """All blocks, and then the rest as a line of its own."""
        yield from self
        yield [self.rest]

    @property
    def rest(self) -> Line:
        """What has been read of a line whose end has not."""
        return b"".join(self._pieces) if self._length <= self._most else None

    def _add(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length <= self._most:
            self._pieces.append(piece)
        else:
            self._pieces.clear()


def count_lines(file: BinaryIO) -> int:
    """The lines from here to the end of the file, an unfinished one included."""
    count, last = 0, b"\n"
    while data := file.read(BLOCK):
        count += data.count(b"\n")
        last = data[-1:]
    return count + (last != b"\n")
