"""What a profile keeps of what it is told, and that it is bounded."""

from __future__ import annotations

from math import inf

import pytest
from msgspec import Raw

from pool.exchange.codec import Times
from pool.profile.book import MAX_STARTS, MAX_TEMPLATES
from pool.profile.commands import MANY, MAX_COMMANDS, MAX_NAME, MAX_PHASES, OTHER
from pool.profile.report import Start
from pool.profile.system import MAX_POINTS, MAX_SNAPSHOTS, MAX_WORKERS
from pool.profile.thresholds import Thresholds
from pool.telemetry.events import (
    CheckoutExpired,
    CheckoutShed,
    TemplateLoaded,
    WorkerExited,
    WorkerStarted,
)
from pool.usage import Usage
from tests.unit.profiles import (
    MB,
    TabledBook,
    book,
    call,
    report,
    report_of,
    sample,
    start,
    stats,
)


def test_a_call_in_its_parts() -> None:
    told = book()
    times = Times()
    times.encode["work"] += [0.001, 0.003]
    times.decode["work"].append(0.002)
    told.timed(times)
    told.hear([call(seconds=0.010, compute=0.008, waited=0.5, phases={"retrieve": 0.006})])
    (command,) = report(told).commands
    found = {name: known.mean for name, known in command.durations.items()}
    assert found == pytest.approx(
        {
            "queue wait": 0.5,
            "encode": 0.002,
            "transport": 0.002,
            "compute": 0.008,
            "decode": 0.002,
            "call": 0.010,
        }
    )
    assert command.phases["retrieve"].mean == pytest.approx(0.006)
    assert (command.request_bytes, command.response_bytes) == (100, 200)
    assert not times.encode
    assert not times.decode


def test_outcomes_and_success() -> None:
    (command,) = report_of(call(), call(), call(outcome="error"), call(outcome="timeout")).commands
    assert command.outcomes == {"ok": 2, "error": 1, "timeout": 1}
    assert (command.count, command.success) == (4, 0.5)


def test_a_batch_is_so_many_calls_that_took_a_share_each() -> None:
    batch = call(seconds=1.0, counts={"ok": 7, "error": 3}, compute=0.5)
    (command,) = report_of(batch, call(seconds=0.1)).commands
    assert (command.count, command.outcomes) == (11, {"ok": 8, "error": 3})
    assert command.durations["call"].total == pytest.approx(1.1)
    assert command.durations["compute"].mean == pytest.approx(0.05)


def test_a_bridge_that_says_it_computed_longer_than_the_call_took() -> None:
    (command,) = report_of(call(seconds=0.1, compute=5.0)).commands
    assert command.durations["compute"].max == 0.1
    assert command.durations["transport"].max == 0.0


@pytest.mark.parametrize(
    "told", [b"[]", b"{", b'{"a": "b"}', b'{"a": -1}', b'{"a": 1e300}', b"[" * 10_000]
)
def test_phases_that_make_no_sense(told: bytes) -> None:
    (command,) = report_of(call(phases=Raw(told))).commands
    assert command.phases == {}


def test_the_wait_for_the_first_worker_is_told_apart() -> None:
    told = book(first_ready=inf)
    told.hear([start(at=5.0)])
    told.hear([call(at=6.0, seconds=1.0, waited=3.0), call(at=10.0, seconds=0.5, waited=0.25)])
    found = report(told)
    assert found.start_wait is not None
    assert found.queue_wait is not None
    assert (found.start_wait.count, found.start_wait.max) == (1, 3.0)
    assert (found.queue_wait.count, found.queue_wait.max) == (1, 0.25)
    wait = found.commands[0].durations["queue wait"]
    assert (wait.count, wait.max) == (1, 0.25)


def test_the_first_worker_is_the_first_of_all_that_started() -> None:
    told = book(first_ready=inf)
    told.hear([start(at=5.0), start("w-2", at=9.0)])
    told.hear([call(at=8.0, seconds=1.0, waited=1.0)] * MANY)
    told.hear([call(at=8.0, seconds=1.0, waited=3.0)])
    found = report(told)
    assert found.start_wait is not None
    assert found.queue_wait is not None
    assert (found.queue_wait.count, found.start_wait.count) == (MANY, 1)


def test_further_calls_on_a_lease_have_not_waited() -> None:
    found = report_of(call(waited=0.5), call(waited=None), call("other", waited=None))
    assert found.queue_wait is not None
    assert (found.queue_wait.count, found.queue_wait.min) == (1, 0.5)
    assert "queue wait" not in found.command("other").durations
    assert found.last[0].waited == 0.0


def test_who_was_refused_and_who_left() -> None:
    told = book()
    told.hear([CheckoutShed("p", 1.0, 5, 0.1), CheckoutExpired("p", 1.0, 0.1)])
    told.hear([WorkerExited("p", 1.0, "w-1", 1, 0, "oom", None, 9, 5, 1.0)])
    found = report(told)
    assert found.refused == {"shed": 1, "timeout": 1}
    assert found.exits == {"oom": 1}


def test_all_who_were_refused_and_who_left_are_counted() -> None:
    told = book()
    told.hear([CheckoutShed("p", 1.0, 5, 0.1)] * 2 + [CheckoutExpired("p", 1.0, 0.1)] * 3)
    told.hear([WorkerExited("p", 1.0, "w-1", 1, 0, "oom", None, 9, 5, 1.0)] * 4)
    found = report(told)
    assert found.refused == {"shed": 2, "timeout": 3}
    assert found.exits == {"oom": 4}


def test_instants_are_told_from_the_begin_of_the_profile() -> None:
    told = TabledBook(100.0, 10)
    loaded = TemplateLoaded("p", 101.0, "p-template-1", 1, 1, 2.0, 1.2, 0.3, 0.1)
    told.hear([loaded, start(at=102.0), call(at=103.0)])
    sample(told, 104.0, MB)
    found = told.report(110.0, "name", "today", Thresholds(slow=0.5))
    assert (found.pool, found.began, found.seconds) == ("name", "today", 10.0)
    assert found.thresholds == Thresholds(slow=0.5)
    assert (found.templates[0].at, found.starts[0].at) == (1.0, 2.0)
    assert found.last[0].at == found.slowest[0].at == 3.0
    assert found.snapshots[0].at == found.workers[0].memory[0].at == 4.0


def test_a_start_in_its_parts() -> None:
    told = book()
    told.hear([WorkerStarted("p", 5.0, "w-1", 7, 0, 1, 0.1, 0.2, 0.3, 0.7)])
    assert report(told).starts == (Start("w-1", 5.0, 0.1, 0.2, 0.3, 0.7),)


def test_a_timeout_is_twice_the_95th_percentile_of_enough_calls() -> None:
    found = report_of(*[call(seconds=0.1)] * 20, *[call("rare", seconds=0.1)] * 19)
    assert found.timeouts() == pytest.approx({"work": 0.2}, rel=0.02)


def test_the_last_calls_and_the_slowest() -> None:
    told = book(keep=3)
    for place in range(100):
        told.hear([call(at=float(place), seconds=1.0 + (place * 37) % 100)])
    found = report(told)
    assert [kept.at for kept in found.last] == [99.0, 98.0, 97.0]
    assert [kept.seconds for kept in found.slowest] == [100.0, 99.0, 98.0]


def test_no_calls_are_kept_if_none_are_wanted() -> None:
    told = book(keep=0)
    told.hear([call()])
    found = report(told)
    assert (found.last, found.slowest, found.calls) == ((), (), 1)


def test_the_peak_memory_of_the_workers_that_ran_a_command() -> None:
    told = book()
    sample(told, 1.0, 20 * MB)
    told.hear([call("large"), call("other", worker="w-2")])
    sample(told, 2.0, 80 * MB)
    told.hear([call("small")])
    sample(told, 3.0, 30 * MB)
    found = report(told)
    assert found.command("large").peak_memory == 80 * MB
    assert found.command("small").peak_memory == 30 * MB
    assert found.command("other").peak_memory is None


def test_memory_of_other_times_is_not_a_commands() -> None:
    told = book()
    told.hear([call("small")])
    sample(told, 1.0, 20 * MB)
    sample(told, 2.0, 80 * MB)
    assert report(told).command("small").peak_memory == 20 * MB


def test_a_snapshot_has_all_calls_so_far() -> None:
    told = book()
    for at in range(3):
        told.hear([call()] * (at + 1))
        sample(told, float(at), MB)
    found = report(told).snapshots
    assert [seen.calls for seen in found] == [1, 3, 6]
    assert {seen.descriptors for seen in found} == {10}


def test_how_late_the_event_loop_came_is_known_of_all_the_time() -> None:
    told = book()
    for seconds in (0.2, 0.1, 0.4):
        told.lagged(seconds)
        sample(told, 1.0, MB)
    lag = report(told).loop_lag
    assert lag is not None
    assert (lag.count, lag.min, lag.max) == (3, 0.1, 0.4)


def test_processors_and_lag_of_the_time_between() -> None:
    told = book()
    sample(told, 1.0, MB, cpu=5.0)
    told.lagged(0.2)
    told.lagged(0.1)
    sample(told, 2.0, MB, cpu=5.5)
    sample(told, 3.0, MB, cpu=6.5)
    snapshots = report(told).snapshots
    assert [seen.cpu for seen in snapshots] == [0.0, 0.5, 1.5]
    assert [seen.workers_cpu for seen in snapshots] == [0.0, 0.5, 1.5]
    assert [seen.lag for seen in snapshots] == [0.0, 0.2, 0.0]


# Bounds


def test_commands_are_bounded() -> None:
    names = [f"command {place}" for place in range(3 * MAX_COMMANDS)]
    found = report_of(*map(call, names))
    assert len(found.commands) == MAX_COMMANDS + 1
    assert found.command(OTHER).count == 2 * MAX_COMMANDS
    assert found.calls == 3 * MAX_COMMANDS


def test_names_are_bounded() -> None:
    found = report_of(call("x" * 10_000, phases={"y" * 10_000: 0.1}), *[call("x" * 10_001)] * 2)
    (command,) = found.commands
    assert (len(command.name), command.count) == (MAX_NAME, 3)
    assert max(map(len, command.phases)) == MAX_NAME
    assert len(found.last[0].command) == MAX_NAME


def test_phases_are_bounded_for_a_command_and_for_all() -> None:
    calls = [
        call(f"command {c}", phases={f"{c} {n} {p}": 0.01 for p in range(40)})
        for c in range(30)
        for n in range(3)
    ]
    found = report_of(*calls)
    assert max(len(command.phases) for command in found.commands) == MAX_PHASES
    assert sum(len(command.phases) for command in found.commands) <= 500
    counted = sum(known.count for command in found.commands for known in command.phases.values())
    assert counted == 30 * 3 * 40


def test_starts_are_bounded_to_the_first_and_the_last() -> None:
    told = book()
    told.hear([start(f"w-{place}", at=float(place)) for place in range(1000)])
    starts = report(told).starts
    assert len(starts) == MAX_STARTS
    half = MAX_STARTS // 2
    places = [*range(half), *range(1000 - half, 1000)]
    assert [start.worker for start in starts] == [f"w-{place}" for place in places]


def test_snapshots_and_memory_are_bounded() -> None:
    told = book()
    for place in range(5 * MAX_SNAPSHOTS):
        sample(told, float(place), MB, calls=place)
    found = report(told)
    assert MAX_SNAPSHOTS / 2 <= len(found.snapshots) <= MAX_SNAPSHOTS + 1
    assert MAX_POINTS / 2 <= len(found.workers[0].memory) <= MAX_POINTS + 1
    assert found.snapshots[-1].at == found.workers[0].memory[-1].at == 5 * MAX_SNAPSHOTS - 1


def test_workers_are_bounded_and_those_that_live_are_kept() -> None:
    told, used = book(), Usage(MB, MB, 0.0)
    for place in range(3 * MAX_WORKERS):
        names = ["lives", f"w-{place}"]
        told.sample(float(place), stats(workers=names), used, dict.fromkeys(names, used), 1)
    names = [worker.name for worker in report(told).workers]
    assert len(names) == MAX_WORKERS
    assert {"lives", f"w-{3 * MAX_WORKERS - 1}"} <= set(names)


def test_templates_are_told_apart_from_workers() -> None:
    told = book()
    loaded = TemplateLoaded("p", 5.0, "p-template-1", 1, 1, 2.0, 1.2, 0.3, 0.1)
    told.hear([loaded] * (MAX_TEMPLATES + 1))
    made = report(told)
    assert made.starts == ()
    assert len(made.templates) == MAX_TEMPLATES
    start = made.templates[0]
    assert (start.worker, start.at, start.ready) == ("p-template-1", 5.0, 2.0)
    assert (start.imports, start.start_up) == (1.2, 0.3)
    assert start.launch == pytest.approx(0.4)
