"""How long slots are held and calls take, and what that means for who waits."""

from __future__ import annotations

import pytest

from pool.ledger.service import MARGIN, MAX_COMMANDS, CallTime, ServiceTimes
from pool.timeouts import Deadline

IN_TEN = Deadline(at=110.0, allowed=10.0)


def test_the_first_sample_is_the_mean_and_half_of_it_the_deviation() -> None:
    time = CallTime(8.0)
    assert (time.mean, time.deviation, time.allowance) == (8.0, 4.0, 12.0)


def test_the_mean_of_a_command_is_known_once_it_was_called() -> None:
    times = ServiceTimes()
    before = times.mean("c")
    times.called("c", 8.0)
    assert (before, times.mean("c"), times.mean("d")) == (None, 8.0, None)


def test_later_samples_weigh_an_eighth_and_a_quarter() -> None:
    times = ServiceTimes()
    starts = []
    for seconds in (8.0, 16.0, 1.0):
        times.called("c", seconds)
        starts.append(times.latest_start("c", Deadline(at=100.0, allowed=100.0)).at)
    # Means of 8, 9 and 8 seconds with deviations of 4, 5 and 5.75.
    assert starts == [88.0, 86.0, 86.25]


def test_the_time_a_slot_is_held_is_smoothed() -> None:
    times = ServiceTimes()
    means = [times.mean_held]
    for seconds in (16.0, 0.0):
        times.held(seconds)
        means.append(times.mean_held)
    assert means == [None, 16.0, 15.0]


@pytest.mark.parametrize(
    ("ahead", "slots", "seconds"),
    [(0, 1, 3.0), (0, 3, 1.0), (5, 3, 6.0), (1, 0, 6.0)],
)
def test_a_wait_is_the_turns_that_the_queue_takes(ahead: int, slots: int, seconds: float) -> None:
    times = ServiceTimes()
    assert times.wait(ahead, slots) == 0.0
    times.held(3.0)
    assert times.wait(ahead, slots) == seconds


def test_a_call_must_begin_in_time_for_its_usual_length() -> None:
    times = ServiceTimes()
    times.called("work", 2.0)
    assert times.latest_start("work", IN_TEN) == Deadline(107.0, 10.0)
    times.called("work", 10.0)
    assert times.latest_start("work", IN_TEN) == Deadline(110.0 - 3.0 - 2.75 + 0.75, 10.0)


def test_no_more_than_half_of_its_time_is_kept_for_the_call() -> None:
    times = ServiceTimes()
    times.called("work", 100.0)
    assert times.latest_start("work", IN_TEN) == Deadline(105.0, 10.0)


@pytest.mark.parametrize(
    "deadline", [Deadline(None, None), Deadline(110.0, None), Deadline(None, 10.0)]
)
def test_without_a_limit_a_call_may_begin_at_any_time(deadline: Deadline) -> None:
    times = ServiceTimes()
    times.called("work", 2.0)
    assert times.latest_start("work", deadline) is deadline


def test_of_a_command_that_was_never_called_nothing_is_known() -> None:
    times = ServiceTimes()
    times.called("other", 2.0)
    assert times.latest_start("work", IN_TEN) is IN_TEN


def test_a_thousand_commands_and_a_quarter_more() -> None:
    assert (MAX_COMMANDS, MARGIN) == (1_000, 1.25)


def test_the_commands_that_are_remembered_are_bounded() -> None:
    times = ServiceTimes()
    for i in range(MAX_COMMANDS + 1):
        times.called(str(i), 1.0)
    assert times.latest_start(str(MAX_COMMANDS - 1), IN_TEN) == Deadline(108.5, 10.0)
    assert times.latest_start(str(MAX_COMMANDS), IN_TEN) is IN_TEN
    times.called("0", 1.0)
    assert times.latest_start("0", IN_TEN) == Deadline(110.0 - 1.375, 10.0)
