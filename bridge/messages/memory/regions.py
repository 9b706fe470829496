"""Which parts of a file in memory are taken, and by which call. Pure."""

from __future__ import annotations

from msgspec import Struct

PAGE = 4096
"""Bytes; regions begin at a multiple, so that none shares a page with another."""


class _Region(Struct):
    start: int
    end: int
    call: int


class Regions:
    """First fit: a file is no longer than what is taken at once, and the gaps that this leaves.

    Few are taken at a time, one or two for each call that runs.
    """

    def __init__(self) -> None:
        self._taken: list[_Region] = []
        """In the order of their places."""

    @property
    def end(self) -> int:
        """Where the last one ends: beyond it nothing is taken."""
        return self._taken[-1].end if self._taken else 0

    def take(self, call: int, size: int) -> int:
        """Take `size` bytes for a call; return where they are."""
        start = place = 0
        for region in self._taken:
            if start + size <= region.start:
                break
            start = _next_page(region.end)
            place += 1
        self._taken.insert(place, _Region(start, start + size, call))
        return start

    def give_back(self, call: int) -> None:
        """Free all that was taken for a call."""
        self._taken = [region for region in self._taken if region.call != call]


def _next_page(address: int) -> int:
    return -(-address // PAGE) * PAGE
