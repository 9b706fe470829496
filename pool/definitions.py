"""The definitions of one session, and the bounds of what is kept of all. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.messages import Definition

Place = tuple[str, str]
"""A session and a key in it."""


@dataclass(slots=True)
class Session:
    """What has changed in one session, oldest first."""

    used_at: float
    # Key to (number of the change, definition or None for a forgotten key), oldest change first.
    changes: dict[str, tuple[int, Definition | None]] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        return self.changes.get(key, (0, None))[1] is not None

    def record(self, key: str, number: int, definition: Definition | None) -> None:
        self.changes.pop(key, None)
        self.changes[key] = (number, definition)

    def since(self, number: int) -> Iterator[tuple[str, Definition | None]]:
        """The changes after `number`, newest first, in time proportional to their count."""
        for key in reversed(self.changes):
            changed, definition = self.changes[key]
            if changed <= number:
                return
            yield key, definition

    def drop_tombstones(self) -> list[str]:
        """Forget what was forgotten; return the keys."""
        dropped = [key for key, change in self.changes.items() if change[1] is None]
        for key in dropped:
            del self.changes[key]
        return dropped


class Shelf:
    """Places by age, each with the bytes that it takes."""

    def __init__(self, max_places: int, max_bytes: int) -> None:
        self._max_places = max_places
        self._max_bytes = max_bytes
        self._sizes: dict[Place, int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._sizes)

    def put(self, place: Place, size: int) -> None:
        """Keep it as the newest, in the stead of what was kept there."""
        self.take(place)
        self._sizes[place] = size
        self._bytes += size

    def take(self, place: Place) -> None:
        """Keep it no longer."""
        self._bytes -= self._sizes.pop(place, 0)

    def surplus(self) -> Place | None:
        """The oldest, if more is kept than may be."""
        if len(self._sizes) > self._max_places or self._bytes > self._max_bytes:
            return next(iter(self._sizes))
        return None
