"""The last calls and the slowest, of calls told one by one and many at a time."""

from __future__ import annotations

from itertools import chain
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from pool.profile.kept import Kept
from pool.profile.report import Call
from pool.telemetry.events import CallFinished
from pool.telemetry.tables import CallsFinished
from tests.unit.profiles import call

durations = some.floats(0.001, 0.01) | some.sampled_from([0.002, 0.005])
portions = some.lists(some.lists(durations, min_size=1, max_size=8), max_size=8)


def kept_of(most: int, told: list[list[CallFinished]]) -> Kept:
    kept = Kept(most)
    for calls in told:
        kept.finished(CallsFinished.from_events(calls))
    return kept


def numbered(portions: list[list[float]]) -> list[list[CallFinished]]:
    """Calls that took so long; each at an instant of its own."""
    numbers = iter(range(1000))
    return [[call(seconds=taken, at=float(next(numbers))) for taken in part] for part in portions]


@given(some.integers(0, 6), portions)
def test_so_many_are_kept_of_the_last_and_of_the_slowest(
    most: int, portions: list[list[float]]
) -> None:
    told = numbered(portions)
    kept, all_ = kept_of(most, told), [call.at for calls in told for call in calls]
    assert [last.at for last in kept.last(0.0)] == all_[::-1][:most]
    slowest = sorted(chain(*told), key=lambda call: -call.seconds)  # of equals the first
    assert [slow.at for slow in kept.slowest(0.0)] == [slow.at for slow in slowest[:most]]


def test_quick_calls_are_among_the_slowest_while_there_is_room() -> None:
    kept = kept_of(3, numbered([[0.5], [0.2], [0.1, 0.3], [0.05, 0.25]]))
    assert [slow.seconds for slow in kept.slowest(0.0)] == [0.5, 0.3, 0.25]
    assert [slow.seconds for slow in kept_of(3, numbered([[0.5], [0.2]])).slowest(0.0)] == [
        0.5,
        0.2,
    ]


def test_a_call_is_kept_with_all_that_is_known_of_it() -> None:
    fields: dict[str, Any] = {"worker": "w-7", "outcome": "error", "waited": 0.25, "compute": 0.5}
    sizes: dict[str, Any] = {"request_bytes": 11, "response_bytes": 22, "counts": {"error": 3}}
    kept = kept_of(1, [[call("ask", 2.0, at=10.0, phases={"look": 0.1}, **fields, **sizes)]])
    told = Call(8.0, "w-7", "ask", "error", 0.25, 2.0, 0.5, 11, 22, 3, {"look": 0.1})
    assert kept.last(began=2.0) == kept.slowest(began=2.0) == (told,)


def test_a_call_that_had_no_wait_of_its_own_has_waited_no_time() -> None:
    (found,) = kept_of(1, [[call(waited=None)]]).last(0.0)
    assert found.waited == 0.0
