"""Timeouts as callers give them, deadlines as the pool keeps them."""

from __future__ import annotations

import math

import pytest

from pool.timeouts import UNSET, Deadline, seconds


def test_a_timeout_that_is_left_out_is_the_pools_own() -> None:
    assert seconds(UNSET, 5.0) == 5.0
    assert seconds(None, 5.0) is None
    assert seconds(0, 5.0) == 0
    assert repr(UNSET) == "<the pool's own>"


@pytest.mark.parametrize("given", [-1.0, math.nan])
def test_a_senseless_timeout_is_refused(given: float) -> None:
    with pytest.raises(ValueError, match="number of seconds"):
        seconds(given, 5.0)


@pytest.mark.parametrize("allowed", [None, math.inf])
def test_no_limit_never_passes(allowed: float | None) -> None:
    deadline = Deadline.after(1.0, allowed)
    assert not deadline.has_passed(1e9)
    assert str(deadline) == "no limit"


def test_a_deadline_passes_after_what_was_allowed() -> None:
    deadline = Deadline.after(10.0, 2.0)
    assert not deadline.has_passed(12.0)
    assert deadline.has_passed(12.1)
    assert str(deadline) == "2 s"


def test_the_earlier_of_two() -> None:
    never, soon, late = (Deadline.after(0.0, t) for t in (None, 1.0, 2.0))
    assert never.or_earlier(soon) is soon
    assert soon.or_earlier(never) is soon
    assert soon.or_earlier(late) is soon
    assert late.or_earlier(soon) is soon
    same = Deadline(1.0, 0.5)
    assert soon.or_earlier(same) is soon
