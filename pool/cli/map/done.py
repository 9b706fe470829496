"""Which items are done. Pure."""

from __future__ import annotations


class Done:
    """A set of numbers, one bit for each up to the highest: 10 million take 1.25 MB."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self.count = 0
        self.highest = -1

    def add(self, number: int) -> bool:
        """Put a number in; False if it was there."""
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        if self._bits[place] & bit:
            return False
        self._bits[place] |= bit
        self.count += 1
        self.highest = max(self.highest, number)
        return True

    def __contains__(self, number: int) -> bool:
        return number <= self.highest and bool(self._bits[number >> 3] & 1 << (number & 7))

    def has_all(self, start: int, count: int) -> bool:
        """Whether `count` numbers from `start` on are all in it."""
        stop = start + count
        first, last = -(-start // 8), stop // 8  # of the bytes that are theirs alone
        if first >= last:
            return all(number in self for number in range(start, stop))
        edges = [*range(start, first * 8), *range(last * 8, stop)]
        full = self._bits.count(0xFF, first, last)
        return full == last - first and all(number in self for number in edges)
