"""Figures and foreign names as a screen shows them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from typing import TypeGuard

from pool.quotes import plain

NOTHING = "-"
"""What is shown for what is not known."""

LARGEST = 1e15
"""Figures from here on are somebody's mistake."""

LONGEST = 60
"""Characters that are shown of a name."""

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.:-=+*#"

_TIMES = ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min"))
"""From so many seconds on, in a unit of so many, of this name."""

_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def clean(text: str) -> str:
    """A text of somebody else's: no character that moves the cursor, hides or turns others."""
    shown = plain(text[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and abs(value) < LARGEST


def duration(seconds: float | None) -> str:
    """0.42 ms, 17.3 ms, 1.25 s, and as an age from two minutes on."""
    if not _is_known(seconds):
        return NOTHING
    if 0 < seconds < 0.9995:
        return f"{_three_digits(seconds * 1000)} ms"
    return f"{_three_digits(seconds)} s" if seconds < 120 else age(seconds)


def _three_digits(value: float) -> str:
    """At most two places behind the point."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def age(seconds: float | None) -> str:
    """In the largest unit of which there are two, rounded down."""
    if not _is_known(seconds):
        return NOTHING
    for least, unit, name in _TIMES:
        if seconds >= least:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds // 1:.0f} s"


def size(amount: float | None) -> str:
    """Bytes, in powers of 1,000."""
    if not _is_known(amount):
        return NOTHING
    for unit, name in _SIZES:
        if amount >= unit:
            return f"{amount / unit:.{0 if amount >= 10 * unit else 1}f} {name}"
    return f"{amount:.0f} B"


def share(part: float | None) -> str:
    if not _is_known(part):
        return NOTHING
    return f"{max(0.0, part):.0%}"


def rate(value: float | None) -> str:
    """Per second: 0, 0.02, 4.7, 28,154."""
    if not _is_known(value):
        return NOTHING
    if value == 0:
        return "0"
    if value < 0.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """The last `width` values, from 0 to the largest of them; what is above 0 can be seen."""
    shown = [max(0.0, value) if isfinite(value) else 0.0 for value in values[-width:]]
    most = max(shown, default=0.0)
    steps = _ASCII if ascii_only else _BLOCKS
    last = len(steps) - 1
    return "".join(steps[ceil(value / most * last) if most > 0 else 0] for value in shown)
