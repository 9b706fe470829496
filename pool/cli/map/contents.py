"""What an earlier run has left in an output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from msgspec import UNSET

from bridge.frames import DEFAULT_MAX_FRAME_BYTES
from pool.cli.map.done import Done
from pool.cli.map.lines import Line, Lines
from pool.cli.map.records import Record, decode, may_be_cut_off

MOST = 2 * DEFAULT_MAX_FRAME_BYTES
"""Bytes of a record, which are few beside those of its result."""


class Contents:
    """The items that are `done`, and how many of them `failed`."""

    def __init__(self) -> None:
        self.done = Done()
        self.failed = 0

    def add(self, record: Record) -> bool:
        """Note a record; False if its item is done already."""
        self.failed += record.error is not UNSET
        return self.done.add(record.index)


def read_contents(file: BinaryIO, items: int) -> tuple[Contents, int]:
    """What the file of a run that was interrupted has, and the bytes of its whole lines.

    Raises `ValueError` saying what shows that it is not the output for an input
    of so many lines.
    """
    contents, lines = Contents(), Lines(file, MOST)
    for number, line in _numbered(lines):
        record = _record(line, f"line {number} is not of an earlier run")
        if record.index >= items:
            raise ValueError(f"line {number} has item {record.index}, the input {items} lines")
        if not contents.add(record):
            raise ValueError(f"line {number} has item {record.index} for the second time")
    rest = lines.rest
    if rest is None or not may_be_cut_off(rest):
        raise ValueError("its last line, which has no end, is not of an earlier run")
    return contents, lines.size - len(rest)


def _numbered(lines: Lines) -> Iterator[tuple[int, Line]]:
    return enumerate((line for block in lines for line in block), 1)


def _record(line: Line, otherwise: str) -> Record:
    try:
        return decode(line or b"")
    except ValueError as error:
        raise ValueError(f"{otherwise}: {error}") from None
