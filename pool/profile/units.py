"""Durations, sizes and shares in words for people. Pure."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Three digits, in the unit that suits them."""
    if seconds < 0.9995e-3:
        return f"{_digits(seconds * 1e6)} µs"
    if seconds < 0.9995:
        return f"{_digits(seconds * 1e3)} ms"
    return f"{_digits(seconds)} s"


def size(amount: float) -> str:
    """Three digits, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if abs(amount) < 999.5:
            return f"{_digits(amount)} {unit}"
        amount /= 1000
    return f"{_digits(amount)} GB"


def counted(number: int, word: str) -> str:
    """So many of them: one call, two calls."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def times(ratio: float) -> str:
    return f"{_digits(ratio)}x"


def share(part: float) -> str:
    """A percentage that never says 100 for less than all."""
    text = f"{part:.1%}"
    return "99.9%" if text == "100.0%" and part < 1 else text.replace("100.0%", "100%")


def _digits(value: float) -> str:
    for digits, below in ((2, 9.995), (1, 99.95)):
        if abs(value) < below:
            return f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return f"{value:,.0f}"
