"""Timeouts as callers give them: seconds, None for no limit, or left out. Pure."""

from __future__ import annotations

import math
from enum import Enum

from msgspec import Struct


class Unset(Enum):
    """A timeout that was left out: the pool's own applies."""

    UNSET = "the pool's own"

    def __repr__(self) -> str:
        return "<the pool's own>"


UNSET = Unset.UNSET

Timeout = float | None | Unset
"""Seconds; None is no limit; left out, the pool's own."""


def seconds(given: Timeout, default: float | None) -> float | None:
    """The timeout that applies; raise `ValueError` if it is not a number of seconds."""
    if given is UNSET:
        return default
    if given is not None and (math.isnan(given) or given < 0):
        raise ValueError(f"a timeout is a number of seconds, not {given!r}")
    return given


class Deadline(Struct, frozen=True):
    """An instant of the loop's clock, and the seconds that were allowed; None is no limit."""

    at: float | None
    allowed: float | None

    @classmethod
    def after(cls, now: float, allowed: float | None) -> Deadline:
        """The deadline of what starts `now` and may take `allowed` seconds."""
        if allowed is None or allowed == math.inf:
            return cls(None, None)
        return cls(now + allowed, allowed)

    def or_earlier(self, other: Deadline) -> Deadline:
        """The earlier of the two."""
        if self.at is None or (other.at is not None and other.at < self.at):
            return other
        return self

    def left(self, now: float) -> float | None:
        """Seconds until then; None is no limit."""
        return None if self.at is None else max(0.0, self.at - now)

    def has_passed(self, now: float) -> bool:
        return self.at is not None and now > self.at

    def __str__(self) -> str:
        return "no limit" if self.allowed is None else f"{self.allowed:.3g} s"
