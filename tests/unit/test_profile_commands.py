"""Calls that are told many at a time are counted as if each were told alone."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterable
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from msgspec import Raw

from pool.profile.commands import (
    ENOUGH,
    MANY,
    MAX_ALL_PHASES,
    MAX_COMMANDS,
    MAX_HELD,
    MAX_NAME,
    MAX_PHASES,
    OTHER,
    Commands,
    phases_of,
)
from pool.profile.report import Command, Distribution
from pool.profile.sketch import LONGEST
from pool.telemetry.events import CallFinished
from pool.telemetry.tables import CallsFinished
from tests.unit.profiles import call


def tell(commands: Commands, *calls: CallFinished, first_ready: float = 0.0) -> None:
    """All of one command, in one portion."""
    commands.finished(calls[0].command, CallsFinished.from_events(calls), first_ready)


def only(commands: Commands, first_ready: float = 0.0) -> Command:
    (command,) = commands.reports(first_ready)
    return command


def of(*calls: CallFinished, first_ready: float = 0.0) -> Command:
    commands = Commands()
    tell(commands, *calls, first_ready=first_ready)
    return only(commands, first_ready)


def sums(known: dict[str, Distribution]) -> dict[str, tuple[int, float]]:
    return {name: (found.count, found.total) for name, found in known.items()}


# Sums

durations = some.sampled_from([0.0, 0.001, 0.25, 2.0])
calls = some.builds(
    lambda **fields: call(**fields),
    seconds=durations,
    compute=some.none() | durations,
    waited=some.none() | durations,
    outcome=some.sampled_from(["ok", "error"]),
    counts=some.sampled_from([None, None, {"ok": 2}, {"ok": 3, "error": 2}]),
    items=some.integers(0, 3),
    request_bytes=some.integers(0, 9),
    response_bytes=some.integers(0, 9),
    phases=some.sampled_from([None, {"look": 0.5}, {"look": 0.25, "read": 1.0}]),
)
portions = some.lists(
    some.tuples(some.lists(calls, min_size=1, max_size=6), some.sampled_from([1, 2, MANY])),
    min_size=1,
    max_size=3,
)


def one_by_one(told: Iterable[CallFinished]) -> dict[str, Counter[float]]:
    """What the calls took, by phase: how many of them each duration."""
    found: dict[str, Counter[float]] = {}

    def add(phase: str, seconds: float, weight: int = 1) -> None:
        found.setdefault(phase, Counter())[seconds] += weight

    for each in told:
        add("call", each.seconds / each.calls, each.calls)
        if each.compute is not None:
            own = min(each.compute, each.seconds)
            add("compute", own / each.calls, each.calls)
            add("transport", (each.seconds - own) / each.calls, each.calls)
        if each.waited is not None and each.calls == 1:
            add("queue wait", each.waited)
    return found


@settings(max_examples=30)
@given(portions)
def test_calls_add_up_however_they_are_told(portions: list[tuple[list[Any], int]]) -> None:
    commands, told = Commands(), []
    for some_calls, times in portions:
        told += some_calls * times
        tell(commands, *some_calls * times)
    found = only(commands)
    expected = one_by_one(told)
    counts = {name: known.count for name, known in found.durations.items()}
    assert counts == {name: taken.total() for name, taken in expected.items()}
    for name, taken in expected.items():
        known = found.durations[name]
        assert known.total == pytest.approx(sum(s * times for s, times in taken.items()))
        assert (known.min, known.max) == pytest.approx((min(taken), max(taken)))
    outcomes = Counter[str]()
    for each in told:
        outcomes.update(each.counts or {each.outcome: 1})
    assert found.outcomes == outcomes
    assert found.items == sum(c.items for c in told)
    assert found.request_bytes == sum(c.request_bytes for c in told)
    assert found.response_bytes == sum(c.response_bytes for c in told)
    looked = [phases_of(c.phases) for c in told]
    for phase in ("look", "read"):
        taken_by = [phases[phase] for phases in looked if phase in phases]
        count, total = sums(found.phases).get(phase, (0, 0.0))
        assert (count, total) == pytest.approx((len(taken_by), sum(taken_by)))


def test_what_the_bridge_tells_of_some_calls_is_set_against_those() -> None:
    found = of(call(seconds=5.0), call(seconds=1.0, compute=0.25), call(seconds=9.0))
    assert sums(found.durations)["compute"] == (1, 0.25)
    assert sums(found.durations)["transport"] == (1, 0.75)


def test_one_call_whose_clock_differs_does_not_change_the_others() -> None:
    found = of(call(seconds=1.0, compute=3.0), call(seconds=1.0, compute=0.25))
    assert sums(found.durations)["compute"] == (2, 1.25)
    assert sums(found.durations)["transport"] == (2, 0.75)


def test_commands_come_by_the_time_they_took() -> None:
    commands = Commands()
    for name, times, seconds in (("few", 1, 0.5), ("long", 1, 9.0), ("many", 20, 0.1)):
        tell(commands, *[call(name, seconds)] * times)
    commands.tally("never called").encode.add([100.0])
    names = [command.name for command in commands.reports(0.0)]
    assert names == ["long", "many", "few", "never called"]


def test_a_command_that_was_never_called_has_not_failed() -> None:
    commands = Commands()
    commands.tally("work").encode.add([0.1])
    found = only(commands)
    assert (found.count, found.success, found.timeout) == (0, 1.0, None)


def test_calls_whose_durations_cannot_be_are_counted_without_them() -> None:
    found = of(*[call(seconds=2 * LONGEST)] * ENOUGH)
    assert (found.count, found.timeout) == (ENOUGH, None)
    assert "call" not in found.durations


# Waits


def waits(first_ready: float, *told: CallFinished) -> tuple[list[float], list[float]]:
    """Least and most of the waits in the queue, and of those for the first worker."""
    commands = Commands()
    tell(commands, *told, first_ready=first_ready)
    found = [sketch.distribution() for sketch in commands.waits(first_ready)]
    queue, start = ([] if known is None else [known.min, known.max] for known in found)
    return queue, start


def test_who_asks_in_the_moment_in_which_a_worker_is_ready_waits_in_the_queue() -> None:
    """Asked for at 6, as it ended at 10, took 3 s and had waited for one."""
    asked_at_6 = call(at=10.0, seconds=3.0, waited=1.0)
    assert waits(6.0, asked_at_6) == ([1.0, 1.0], [])
    assert waits(6.5, asked_at_6) == ([], [1.0, 1.0])


def test_each_call_waits_for_what_it_was_asked_before() -> None:
    before = call(at=10.0, seconds=3.0, waited=2.0)
    just = call(at=10.0, seconds=3.0, waited=1.0)
    after = call(at=12.0, seconds=3.0, waited=0.5)
    assert waits(6.0, before, just, after) == ([0.5, 1.0], [2.0, 2.0])


def test_who_did_not_wait_did_not_wait_for_a_worker() -> None:
    assert waits(inf, call(waited=0.0), call(waited=None)) == ([0.0, 0.0], [])


def test_further_calls_on_a_lease_are_no_reason_to_wait() -> None:
    found = waits(6.0, call(at=7.0, seconds=0.5, waited=None), call(at=7.0, seconds=2.0, waited=1))
    assert found == ([], [1.0, 1.0])


def test_calls_are_told_apart_by_the_first_worker_that_is_known_when_they_are_counted() -> None:
    commands = Commands()
    tell(commands, *[call(at=10.0, seconds=3.0, waited=2.0)] * MANY, first_ready=6.0)
    _, start = commands.waits(0.0)
    assert start.count == MANY
    tell(commands, call(at=10.0, seconds=3.0, waited=2.0), first_ready=6.0)
    queue, start = commands.waits(0.0)
    assert (queue.count, start.count) == (1, MANY)


def test_reports_and_waits_are_of_all_calls_so_far() -> None:
    commands = Commands()
    for count in range(1, 4):
        tell(commands, call(waited=0.5))
        queue, _ = commands.waits(0.0)
        assert queue.count == only(commands).count == count


# Phases


@pytest.mark.parametrize("told", [b"[]", b"{", b'{"a": "b"}', b"[" * 10_000, b'{"a":' * 10_000])
def test_phases_that_make_no_sense_are_none(told: bytes) -> None:
    assert phases_of(Raw(told)) == {}


def test_phases_of_one_call_are_bounded() -> None:
    told = call(phases={f"{place:03}{'x' * MAX_NAME}": 0.1 for place in range(2 * MAX_PHASES)})
    found = phases_of(told.phases)
    assert list(found) == [f"{place:03}{'x' * MAX_NAME}"[:MAX_NAME] for place in range(MAX_PHASES)]


def test_the_last_place_for_a_phase_is_that_of_the_others() -> None:
    told = [call(phases={f"phase {place}": 0.1}) for place in range(MAX_PHASES + 5)]
    found = of(*told).phases
    assert list(found) == [*(f"phase {place}" for place in range(MAX_PHASES - 1)), OTHER]
    assert found[OTHER].count == 6


def test_phases_that_are_known_are_told_apart_when_there_are_too_many() -> None:
    commands = Commands()
    many = [call(phases={f"phase {place}": 0.1}) for place in range(MAX_PHASES)]
    for _ in range(2):
        tell(commands, *many)
        only(commands)
    found = only(commands).phases
    assert list(found) == [*(f"phase {place}" for place in range(MAX_PHASES - 1)), OTHER]
    assert {known.count for known in found.values()} == {2}


def test_phases_of_all_commands_are_bounded() -> None:
    commands = Commands()
    for c in range(MAX_COMMANDS):
        phases = {f"{c} {place}": 0.1 for place in range(40)}
        tell(commands, *[call(f"command {c}", phases=phases)] * 2)
    found = list(commands.reports(0.0))
    own = [name for command in found for name in command.phases if name != OTHER]
    assert len(own) == MAX_ALL_PHASES - MAX_COMMANDS
    assert sum(len(command.phases) for command in found) <= MAX_ALL_PHASES
    assert {known.count for c in found for name, known in c.phases.items() if name != OTHER} == {2}


# Bounds


def test_commands_that_are_known_are_told_apart_when_there_are_too_many() -> None:
    commands = Commands()
    for place in range(MAX_COMMANDS + 5):
        tell(commands, call(f"command {place}"))
    assert commands.tally("command 0") is commands.tally("command 0")
    assert commands.tally("another") is commands.tally("yet another") is commands.tally(OTHER)
    tell(commands, call("command 0"))
    counts = {command.name: command.count for command in commands.reports(0.0)}
    assert (counts["command 0"], counts[OTHER], len(counts)) == (2, 5, MAX_COMMANDS + 1)
    assert OTHER == "other"


def held_after(portions: Iterable[list[CallFinished]]) -> int:
    """Bytes that commands hold which were told of all these."""
    tables = [CallsFinished.from_events(portion) for portion in portions]
    tracemalloc.start()
    commands = Commands()
    for table in tables:
        commands.finished("work", table, 0.0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


def test_calls_are_counted_when_there_are_many() -> None:
    kept = held_after([[call()]] * (MANY - 1))
    assert kept > MANY * len(CallFinished.__struct_fields__)
    assert held_after([[call()]] * MANY) < kept / 2
    assert held_after([[call()] * MANY]) < kept / 2


def test_calls_are_counted_when_their_phases_are_long() -> None:
    """Of a buffer of their own each, as they come from the wire."""
    length, times = 1000, 2 * MAX_HELD // 1000

    def told() -> Iterable[CallsFinished]:
        for place in range(times):
            phases = Raw(b'{"%0*d": 0.1}' % (length, place))
            yield CallsFinished.from_events([call(phases=phases)])

    commands = Commands()
    tracemalloc.start()
    most = 0
    for table in told():
        commands.finished("work", table, 0.0)
        most = max(most, tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert most < 1.8 * MAX_HELD
    assert only(commands).count == times
