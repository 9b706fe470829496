"""The input: a JSON object of arguments on each line, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw, Struct

from bridge.frames import DEFAULT_MAX_FRAME_BYTES
from pool.cli.map.done import Done
from pool.cli.map.lines import Line, Lines
from pool.cli.map.records import Failure, Record, failure_of
from pool.dataset.batch import Failed


class Refused:
    """An item in the place of a line that is no call. It cannot be sent, so the map fails it."""

    def __init__(self, why: str) -> None:
        self.why = why


class Dataset:
    """The lines that are not done yet, as items of a map; and its outcomes, as records.

    A map counts the items it takes; `_lines` has, by that number, the line of each
    that has no outcome yet, and why it is refused if it is.
    """

    def __init__(self, file: BinaryIO, done: Done) -> None:
        self._blocks = Lines(file, DEFAULT_MAX_FRAME_BYTES)
        self._done = done
        self._lines: dict[int, int] = {}
        self._refused: dict[int, str] = {}

    def __iter__(self) -> Iterator[Raw | Refused]:
        for place, (index, item) in enumerate(self._items()):
            self._lines[place] = index
            if item.__class__ is Refused:
                self._refused[place] = item.why
            yield item

    def _items(self) -> Iterator[tuple[int, Any]]:
        """Each line to call for, and the arguments on it."""
        done, start = self._done, 0
        for lines in self._blocks.to_the_end():
            if start > done.highest or not done.has_all(start, len(lines)):
                for index, line in enumerate(lines, start):
                    if index > done.highest or index not in done:
                        item = read_item(line)
                        if item is not None:
                            yield index, item
            start += len(lines)

    def records(self, runs: list[tuple[int, list[Any]]]) -> list[Record]:
        """What stands in the output for these outcomes of the map."""
        take = self._lines.pop
        return [
            Record(take(place), outcome)
            if outcome.__class__ is not Failed
            else Record(take(place), error=self._failure(place, outcome))
            for start, outcomes in runs
            for place, outcome in enumerate(outcomes, start)
        ]

    def _failure(self, place: int, failed: Failed) -> Failure:
        failure = failure_of(failed.error)
        failure.message = self._refused.pop(place, failure.message)
        return failure


class _Object(Struct):
    """Any JSON object."""


_check_object = msgspec.json.Decoder(_Object).decode


def read_item(line: Line) -> Raw | Refused | None:
    """The arguments on a line; None if it is blank."""
    if line is None:
        return Refused(f"the line is longer than {DEFAULT_MAX_FRAME_BYTES} bytes")
    line = line.strip()
    if not line:
        return None
    try:
        _check_object(line)
        if not line.isascii():
            line.decode()
    except (ValueError, RecursionError) as error:
        return Refused(f"the line is not a JSON object: {error}")
    return Raw(line)
