"""Figures and foreign names, as a screen shows them."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pool.cli.top import words


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.00 s"),
        (0.00042, "0.42 ms"),
        (0.0173, "17.3 ms"),
        (0.35, "350 ms"),
        (0.9999, "1.00 s"),
        (1.25, "1.25 s"),
        (75.0, "75.0 s"),
        (119.99, "120 s"),
        (120.0, "2 min"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 s"),
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7_199.0, "119 min"),
        (7_200.0, "2 h"),
        (172_799.0, "47 h"),
        (172_800.0, "2 d"),
    ],
)
def test_ages(seconds: float, shown: str) -> None:
    assert words.age(seconds) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "0 B"), (999, "999 B"), (21e6, "21 MB"), (1.25e9, "1.2 GB"), (4_300, "4.3 kB")],
)
def test_sizes(amount: float, shown: str) -> None:
    assert words.size(amount) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.016, "0.02"), (0.999, "1.0"), (4.71, "4.7"), (99.96, "100"), (28_154, "28,154")],
)
def test_rates(value: float, shown: str) -> None:
    assert words.rate(value) == shown


def test_shares() -> None:
    assert [words.share(part) for part in (0.0, 0.624, 1.98, -0.1)] == ["0%", "62%", "198%", "0%"]


@pytest.mark.parametrize("what", [words.duration, words.age, words.size, words.rate, words.share])
@pytest.mark.parametrize("value", [None, nan, inf, -inf, 1e300])
def test_what_is_not_known_is_a_dash(what: object, value: float | None) -> None:
    assert callable(what)
    assert what(value) == "-"


@given(st.text())
def test_a_name_has_nothing_that_moves_hides_or_turns(name: str) -> None:
    shown = words.clean(name)
    assert shown.isprintable()
    assert len(shown) <= words.LONGEST


def test_what_cannot_be_printed_is_a_question_mark() -> None:
    assert words.clean("a\x1b[2Jb\n\u202ec") == "a?[2Jb??c"
    assert words.clean("x" * 61) == "x" * 57 + "..."
    assert words.clean("x" * 60) == "x" * 60


def test_a_history_reaches_from_nothing_to_the_most() -> None:
    assert words.sparkline([0, 1, 50, 100], 10) == "▁▂▅█"
    assert words.sparkline([0, 0], 10) == "▁▁"
    assert words.sparkline([9, 9, 1, 2], 2) == "▅█"
    assert words.sparkline([], 10) == ""
    assert words.sparkline([-5, nan, inf, 2], 10) == "▁▁▁█"


def test_a_history_can_be_told_without_blocks() -> None:
    assert words.sparkline([0, 50, 100], 10, ascii_only=True) == "_=#"
