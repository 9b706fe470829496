"""What a batch has come to and its caller has not been told yet. Pure."""

from __future__ import annotations

from msgspec import Raw

from bridge.messages.batch import FRAME_BYTES

EVENT_BYTES = 256 * 1024
"""Results of more bytes are told before the batch is over."""


class Untold:
    """The outcomes of a batch's calls, encoded, in their order.

    `next` is the place of the next call, counted from 0.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self.next = 0
        self._results: list[bytes] = []
        self._failures: list[bytes] = []
        self._size = 0
        self._room = max_frame_bytes - FRAME_BYTES

    def __bool__(self) -> bool:
        return bool(self._results)

    @property
    def is_much(self) -> bool:
        """Whether it should be told soon."""
        return self._size > EVENT_BYTES

    def has_room_for(self, encoded: bytes) -> bool:
        """Whether a frame can take one more outcome with what is here."""
        return self._size + _cost(encoded) <= self._room

    def succeed(self, encoded: bytes) -> None:
        """Add what the next call returned."""
        self._add(encoded, encoded)

    def fail(self, encoded: bytes) -> None:
        """Add how the next call failed."""
        self._failures.append(b'"%d":%b' % (self.next, encoded))
        self._add(encoded, b"null")

    def _add(self, outcome: bytes, result: bytes) -> None:
        self._results.append(result)
        self._size += _cost(outcome)
        self.next += 1

    def take(self) -> tuple[Raw, Raw]:
        """Return the list of results and the object of failures; here they are no more."""
        results = Raw(b"[" + b",".join(self._results) + b"]")
        failures = Raw(b"{" + b",".join(self._failures) + b"}")
        self._results, self._failures, self._size = [], [], 0
        return results, failures


def _cost(encoded: bytes) -> int:
    """Bytes in a frame, with the `null` and the place that a failure takes besides."""
    return len(encoded) + 32
