"""What a batch has come to and its caller has not been told yet. Pure."""

from __future__ import annotations

from msgspec import Raw

from bridge.messages.batch import FAILURE_BYTES, FRAME_BYTES


class Untold:
    """The outcomes of a batch's calls, encoded, in their order, as many as a frame has room for.

    `next` is the place in the batch of the next call, counted from 0; `size`
    what is here takes in a frame, in bytes.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self.next = 0
        self.size = 0
        self._room = max_frame_bytes - FRAME_BYTES
        self._results: list[bytes] = []
        self._failures: list[bytes] = []

    def succeed(self, encoded: bytes) -> bool:
        """Add what the next call returned; False if there is no room for it."""
        return self._add(encoded, len(encoded) + 1)

    def fail(self, encoded: bytes) -> bool:
        """Add how the next call failed; False if there is no room for it."""
        failure = b'"%d":%b' % (self.next, encoded)
        has_room = self._add(b"null", len(encoded) + FAILURE_BYTES)
        if has_room:
            self._failures.append(failure)
        return has_room

    def _add(self, result: bytes, size: int) -> bool:
        if self.size + size > self._room:
            return False
        self._results.append(result)
        self.size += size
        self.next += 1
        return True

    def take(self) -> tuple[Raw, Raw]:
        """Return the list of results and the object of failures; they are not here any more."""
        results = Raw(b"[" + b",".join(self._results) + b"]")
        failures = Raw(b"{" + b",".join(self._failures) + b"}")
        self._results, self._failures, self.size = [], [], 0
        return results, failures
