"""Timeouts as callers give them: seconds, None for no limit, or left out. Pure."""

from __future__ import annotations

import math
from enum import Enum


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
    if isinstance(given, Unset):
        return default
    if given is not None and (math.isnan(given) or given < 0):
        raise ValueError(f"a timeout is a number of seconds, not {given!r}")
    return given


def deadline(now: float, timeout: float | None) -> float | None:
    """The instant at which a timeout that starts `now` ends."""
    return None if timeout is None or math.isinf(timeout) else now + timeout


def earliest(*deadlines: float | None) -> float | None:
    """The first of several deadlines; None if none of them is set."""
    return min((each for each in deadlines if each is not None), default=None)
