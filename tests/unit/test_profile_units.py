"""Durations, sizes and shares in words."""

from __future__ import annotations

import pytest

from pool.profile.units import counted, duration, share, size, times


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((0, "0 µs"), (1.5e-5, "15 µs"), (0.000_999, "999 µs"), (0.000_999_5, "1 ms")),
        *((0.01234, "12.3 ms"), (0.999, "999 ms"), (0.9995, "1 s"), (0.9999, "1 s")),
        *((1, "1 s"), (1.5, "1.5 s"), (99.94, "99.9 s"), (99.96, "100 s")),
        *((100, "100 s"), (123.4, "123 s"), (3600, "3,600 s")),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        *((0, "0 B"), (999, "999 B"), (999.5, "1 kB"), (1000, "1 kB"), (1234, "1.23 kB")),
        *((999_499, "999 kB"), (999_500, "1 MB"), (5.25e7, "52.5 MB"), (999.5e6, "1 GB")),
        *((3e9, "3 GB"), (3e12, "3,000 GB"), (-1234, "-1.23 kB"), (-5e6, "-5 MB")),
    ],
)
def test_sizes(amount: float, shown: str) -> None:
    assert size(amount) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        *((1.0, "1x"), (2.5, "2.5x"), (9.99, "9.99x"), (9.995, "10x"), (10.04, "10x")),
        *((31.26, "31.3x"), (99.9, "99.9x"), (99.95, "100x"), (100.4, "100x"), (123.4, "123x")),
    ],
)
def test_three_digits(ratio: float, shown: str) -> None:
    assert times(ratio) == shown


def test_shares() -> None:
    shown = [share(part) for part in (1.0, 0.99999, 0.9994, 0.5, 0.0)]
    assert shown == ["100%", "99.9%", "99.9%", "50.0%", "0.0%"]


def test_a_number_of_things() -> None:
    assert [counted(n, "call") for n in (0, 1, 1200)] == ["0 calls", "1 call", "1,200 calls"]
