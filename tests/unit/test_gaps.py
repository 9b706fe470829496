"""Gaps: a loss is made good by the next worker that comes into service."""

from __future__ import annotations

from pool.telemetry.gaps import MOST, Gaps


def test_a_gap_is_from_the_oldest_loss() -> None:
    gaps = Gaps()
    gaps.lost(1.0)
    gaps.lost(2.0)
    assert gaps.filled(4.0) == 3.0
    assert gaps.filled(4.5) == 2.5
    assert gaps.filled(5.0) is None


def test_nothing_is_missing_once_another_number_is_wanted() -> None:
    gaps = Gaps()
    gaps.lost(1.0)
    gaps.forget()
    assert gaps.filled(2.0) is None


def test_what_is_remembered_is_bounded() -> None:
    gaps = Gaps()
    for at in range(MOST + 1):
        gaps.lost(float(at))
    assert gaps.filled(float(MOST + 1)) == MOST
