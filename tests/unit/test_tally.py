"""What the events of a pool add up to."""

from __future__ import annotations

from typing import Any

import pytest

from pool.telemetry.events import (
    CallFinished,
    CallRetried,
    CheckoutReturned,
    Event,
    PingAnswered,
    PoolClosed,
    PoolOpened,
    WorkerReplaced,
    WorkerStarted,
)
from pool.telemetry.tally import KINDS, OTHER, Commands, Tally
from tests.unit.tables import in_tables


def call(command: str = "ask", outcome: str = "ok", **known: Any) -> CallFinished:
    usual: dict[str, Any] = {
        "waited": 0.0,
        "seconds": 0.2,
        "compute": None,
        "request_bytes": 10,
        "response_bytes": 20,
    }
    return CallFinished("p", 0.0, "p-1", command, outcome, **{**usual, **known})


def tally_of(*events: Event, commands: Any = 50) -> Tally:
    tally = Tally(commands, is_open=False)
    tally.add(in_tables(events))
    return tally


def test_calls_are_counted_by_command_and_outcome() -> None:
    batch = call("other command", counts={"ok": 5, "error": 2})
    tally = tally_of(call(), call(), call(outcome="timeout"), batch)
    assert tally.calls == {
        ("ask", "ok"): 2,
        ("ask", "timeout"): 1,
        ("other command", "ok"): 5,
        ("other command", "error"): 2,
    }
    assert {key: found.count for key, found in tally.durations.items()} == {
        ("ask", "ok"): 2,
        ("ask", "timeout"): 1,
        ("other command", "ok"): 1,  # a batch is one request
    }
    assert abs(tally.durations["ask", "ok"].sum - 0.4) < 1e-9


def test_one_portion_or_many_make_no_difference() -> None:
    events = [call(seconds=n / 10, request_bytes=n) for n in range(20)]
    whole, parts = tally_of(*events), tally_of()
    for event in events:
        parts.add(in_tables([event]))
    assert whole.calls == parts.calls
    for histograms in ("durations", "request_bytes", "response_bytes"):
        one, other = getattr(whole, histograms), getattr(parts, histograms)
        assert {k: list(v.buckets()) for k, v in one.items()} == {
            k: list(v.buckets()) for k, v in other.items()
        }


def test_what_is_not_told_is_not_counted() -> None:
    tally = tally_of(call(response_bytes=0), call(compute=0.1, items=3))
    assert tally.response_bytes["ask"].count == 1
    assert tally.compute["ask"].count == 1
    assert tally.request_bytes["ask"].count == 2
    assert tally.items == {"ask": 3}
    assert tally_of(call()).items == {}


def test_items_of_streams_add_up() -> None:
    tally = tally_of(call(items=3), call(items=4))
    tally.add(in_tables([call(items=5)]))
    assert tally.items == {"ask": 12}


def test_a_call_that_had_its_checkout_alone_tells_of_that() -> None:
    calls = [call(seconds=0.5, waited=0.25, is_alone=True), call(seconds=9.0, waited=9.0)]
    tally = tally_of(*calls, call(seconds=9.0, waited=None))
    assert [(found.count, found.sum) for found in (tally.waits, tally.held)] == [
        (1, 0.25),
        (1, 0.5),
    ]


def test_checkouts_and_what_is_rare() -> None:
    tally = tally_of(
        CheckoutReturned("p", 0.0, "p-1", 0.25, 1.5),
        CallRetried("p", 0.0, "ask", 1, "worker_lost"),
        PingAnswered("p", 0.0, "p-1", 0.001),
        WorkerReplaced("p", 0.0, "p-2", 0.3),
        WorkerStarted("p", 0.0, "p-1", 1, 0, 1, 0.1, 0.0, 0.2, 0.4),
    )
    assert (tally.waits.sum, tally.held.sum) == (0.25, 1.5)
    assert tally.retries == {"worker_lost": 1}
    assert (tally.pings.sum, tally.gaps.sum) == (0.001, 0.3)
    sums = {phase: (found.count, found.sum) for phase, found in tally.starts.items()}
    assert sums == {"launch": (1, 0.1), "import": (0, 0.0), "ready": (1, 0.4)}


def test_only_workers_that_import_are_counted_for_that() -> None:
    times = ((0.1, 0.0, 0.0, 0.2), (0.1, 0.75, 0.0, 1.0))
    tally = tally_of(*[WorkerStarted("p", 0.0, "p-1", 1, 0, 1, *took) for took in times])
    assert list(tally.starts) == ["launch", "import", "ready"]
    assert [found.count for found in tally.starts.values()] == [2, 1, 2]
    assert tally.starts["import"].sum == 0.75


def test_whether_the_pool_is_open() -> None:
    opened, closed = PoolOpened("p", 0.0, 1, 0, "spawn"), PoolClosed("p", 1.0)
    tally = Tally(50, is_open=False)
    portions = ([opened], [call()], [PingAnswered("p", 0.0, "p-1", 0.001)], [closed], [call()])
    seen = []
    for portion in portions:
        tally.add(in_tables(portion))
        seen.append(tally.is_open)
    assert seen == [True, True, True, False, False]
    assert not tally_of(opened, closed).is_open


@pytest.mark.parametrize("is_open", [True, False])
def test_the_pool_stays_as_it_was_when_the_tally_began(is_open: bool) -> None:
    tally = Tally(50, is_open=is_open)
    assert tally.is_open is is_open
    tally.add([PingAnswered("p", 0.0, "p-1", 0.001)])
    assert tally.is_open is is_open


def test_commands_have_labels_as_long_as_there_is_room() -> None:
    commands = Commands(2)
    assert [commands.label(name) for name in "abcab"] == ["a", "b", OTHER, "a", "b"]


def test_commands_that_are_listed_have_labels() -> None:
    commands = Commands(["b"])
    assert [commands.label(name) for name in "abb"] == [OTHER, "b", "b"]
    assert Commands([]).label("a") == OTHER == "other"


def test_commands_without_a_label_are_counted_together() -> None:
    tally = tally_of(*[call(name) for name in "abcd"], commands=1)
    assert tally.calls == {("a", "ok"): 1, (OTHER, "ok"): 3}
    assert {*tally.request_bytes} == {"a", OTHER}


def test_no_other_events_are_asked_for() -> None:
    assert len(KINDS) == 8
