"""Snapshots of a pool and its workers, and that they are bounded."""

from __future__ import annotations

from typing import Any

import pytest

from pool.profile.report import Memory
from pool.profile.system import MAX_WORKERS, System
from pool.usage import Usage
from tests.unit.profiles import stats


def look(system: System, at: float = 0.0, **known: Any) -> dict[str, int]:
    """A look at the system: what each worker, by name, and the pool use, and what is known."""
    used = {name: usage for name, usage in known.items() if name.startswith("w")}
    fields: dict[str, Any] = {"calls": 0, "lag": 0.0, "descriptors": 0, "own": Usage(1, 1, 0.0)}
    fields |= {name: known[name] for name in fields if name in known}
    picture = known.get("stats", stats(workers=used))
    return system.sample(at, picture, fields.pop("own"), used, **fields)


def test_a_snapshot_has_what_the_pool_and_the_processes_say() -> None:
    system = System()
    counts: dict[str, Any] = {
        "starting": 1,
        "idle": 2,
        "spare": 3,
        "busy": 4,
        "abandoned": 5,
        "stopping": 6,
    }
    picture = stats(**counts, waiting=7, inflight_calls=8)
    workers = {"w1": Usage(10, 99, 1.0), "w2": Usage(20, 99, 1.0)}
    own = Usage(30, 99, 1.0)
    look(system, 5.0, stats=picture, own=own, **workers, calls=9, lag=0.5, descriptors=11)
    (seen,) = system.snapshots()
    assert (seen.at, seen.starting, seen.idle, seen.busy) == (5.0, 1, 2 + 3, 4)
    assert (seen.abandoned, seen.stopping, seen.waiting, seen.inflight) == (5, 6, 7, 8)
    assert (seen.calls, seen.lag, seen.descriptors) == (9, 0.5, 11)
    assert (seen.resident, seen.workers_resident) == (30, 10 + 20)


def test_processors_count_from_the_first_look_on() -> None:
    system = System()
    for at, (own, first) in enumerate([(5.0, 3.0), (6.0, 5.0), (8.0, 5.5)]):
        look(system, at, own=Usage(1, 1, own), w1=Usage(1, 1, first))
    look(system, 9.0, own=Usage(1, 1, 8.0), w1=Usage(1, 1, 0.5), w2=Usage(1, 1, 40.0))
    look(system, 9.0, own=Usage(1, 1, 8.0), w1=Usage(1, 1, 1.5), w2=Usage(1, 1, 42.0))
    assert [seen.cpu for seen in system.snapshots()] == [0.0, 1.0, 3.0, 3.0, 3.0]
    assert [seen.workers_cpu for seen in system.snapshots()] == [0.0, 2.0, 2.5, 2.5, 5.5]


def test_a_peak_belongs_to_the_time_in_which_it_is_a_new_one() -> None:
    system = System()
    resident_and_peak = [(20, 90), (30, 90), (40, 120), (25, 120), (50, 121)]
    found = [look(system, w1=Usage(now, peak, 0.0))["w1"] for now, peak in resident_and_peak]
    assert found == [20, 30, 120, 25, 121]
    (worker,) = system.workers()
    assert worker.peak == 121


def test_memory_is_seen_with_the_calls_of_its_worker() -> None:
    system = System()
    for at in (1.0, 2.0):
        used = {"w1": Usage(int(10 * at), 99, 0.0), "w2": Usage(7, 99, 0.0)}
        look(system, at, stats=stats(int(5 * at), ["w1"]), **used)
    first, second = system.workers()
    assert (first.name, first.memory) == ("w1", (Memory(1.0, 10, 5), Memory(2.0, 20, 10)))
    # Of one that has left the pool meanwhile no calls are known.
    assert (second.name, second.memory) == ("w2", (Memory(1.0, 7, 0), Memory(2.0, 7, 0)))


def test_all_workers_that_live_are_remembered() -> None:
    system, count = System(), 2 * MAX_WORKERS
    for at in range(4):
        used = {f"w{place}": Usage(1, 1, float(at)) for place in range(count)}
        look(system, at, **used)
    assert [len(worker.memory) for worker in system.workers()] == [4] * count
    assert system.snapshots()[-1].workers_cpu == 3.0 * count


@pytest.mark.parametrize("at_a_time", [1, 5])
def test_of_the_workers_that_are_gone_the_last_are_remembered(at_a_time: int) -> None:
    system, places = System(), range(2 * MAX_WORKERS)
    for place in places[::at_a_time]:
        names = ["w", *(f"w{place + other}" for other in range(at_a_time))]
        look(system, place, **dict.fromkeys(names, Usage(1, 1, 0.0)))
    found = [worker.name for worker in system.workers()]
    assert len(found) == MAX_WORKERS
    assert found[0] == "w"
    assert found[1:] == [f"w{n}" for n in range(int(found[1][1:]), int(found[-1][1:]) + 1)]
