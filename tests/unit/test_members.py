"""What is known of workers: one by one, and counted."""

from __future__ import annotations

import pytest

from pool.capacity import Counts
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.ledger.roster import Roster
from pool.lifecycle import IllegalTransition, SlotEvent, SlotState, WorkerEvent, WorkerState

RETIRE, KILL, EXIT = WorkerEvent.RETIRE, WorkerEvent.KILL, WorkerEvent.EXIT


def starting(name: str = "w", concurrency: int = 2) -> Member:
    return Member(name, concurrency, Term(calls=3), 10.0)


def ready(name: str = "w", *, in_service: bool = True) -> Member:
    worker = starting(name)
    worker.handshaken(20.0)
    worker.in_service = in_service
    return worker


def busy(name: str = "w") -> Member:
    worker = ready(name)
    worker.slots[1].advance(SlotEvent.LEND)
    return worker


def given_up(name: str = "w") -> Member:
    """One of two calls on it."""
    worker = busy(name)
    worker.slots[1].advance(SlotEvent.ABANDON)
    return worker


def abandoned(name: str = "w") -> Member:
    """All calls on it were given up."""
    worker = given_up(name)
    worker.slots[0].advance(SlotEvent.LEND)
    worker.slots[0].advance(SlotEvent.ABANDON)
    return worker


def leaving(worker: Member, event: WorkerEvent, reason: str = "") -> Member:
    worker.leave(event, reason, 20.5)
    return worker


def released(worker: Member) -> Member:
    worker.released = "unwanted"
    return worker


FACTS = (
    "is_there",
    "is_ready",
    "is_spare",
    "serves",
    "is_busy",
    "has_abandoned",
    "is_blocked",
    "is_idle",
)


def facts(worker: Member) -> set[str]:
    return {name for name in FACTS if getattr(worker, name)}


# One


def test_a_new_worker() -> None:
    worker = starting()
    assert (worker.name, worker.state, worker.term) == ("w", WorkerState.STARTING, Term(calls=3))
    assert (worker.launched_at, worker.ready_at) == (10.0, None)
    assert (worker.left_at, worker.last_active) == (10.0, 10.0)
    assert (worker.finished_calls, worker.released_at) == (0, 0.0)
    assert (worker.in_service, worker.stands_in) == (False, False)
    assert (worker.due, worker.released, worker.reason) == ("", "", "")
    assert repr(worker) == "<Member w starting>"
    assert facts(worker) == {"is_there"}


def test_its_slots_are_free_and_its_own() -> None:
    worker = starting(concurrency=3)
    slots = [(slot.worker, slot.state, slot.lent_at) for slot in worker.slots]
    assert slots == [(worker, SlotState.FREE, 0.0)] * 3


def test_a_slot_follows_its_table() -> None:
    slot = starting().slots[0]
    with pytest.raises(IllegalTransition):
        slot.advance(SlotEvent.GIVE_BACK)
    states = []
    for event in (SlotEvent.LEND, SlotEvent.GIVE_BACK, SlotEvent.LEND, SlotEvent.ABANDON):
        slot.advance(event)
        states.append(slot.state)
    assert states == [SlotState.BUSY, SlotState.FREE, SlotState.BUSY, SlotState.ABANDONED]


def test_a_worker_follows_its_table() -> None:
    worker = starting()
    with pytest.raises(IllegalTransition):
        worker.leave(RETIRE, "idle", 15.0)
    worker.handshaken(20.0)
    assert (worker.state, worker.ready_at, worker.last_active) == (WorkerState.READY, 20.0, 20.0)
    worker.leave(RETIRE, "idle", 25.0)
    assert (worker.state, worker.reason, worker.left_at) == (WorkerState.RETIRING, "idle", 25.0)
    worker.exited()
    assert worker.state is WorkerState.EXITED
    with pytest.raises(IllegalTransition):
        worker.handshaken(30.0)


@pytest.mark.parametrize(
    ("worker", "expected"),
    [
        (ready(in_service=False), {"is_there", "is_ready", "is_spare", "serves", "is_idle"}),
        (ready(), {"is_there", "is_ready", "serves", "is_idle"}),
        (busy(), {"is_there", "is_ready", "serves", "is_busy"}),
        (given_up(), {"is_there", "is_ready", "serves", "has_abandoned"}),
        (abandoned(), {"is_there", "is_ready", "has_abandoned", "is_blocked"}),
        (released(ready()), {"is_there", "is_ready", "is_idle"}),
        (leaving(ready(in_service=False), RETIRE), set()),
        (leaving(abandoned(), KILL), {"has_abandoned", "is_blocked"}),
        (leaving(busy(), EXIT), {"is_busy"}),
    ],
)
def test_facts(worker: Member, expected: set[str]) -> None:
    assert facts(worker) == expected


@pytest.mark.parametrize("reason", ["", "start", "crash", "oom", "protocol", "signal"])
def test_who_goes_before_it_was_ready_has_failed_to_start(reason: str) -> None:
    assert leaving(starting(), KILL, reason).failed_to_start


@pytest.mark.parametrize("reason", ["", "crash", "oom", "protocol", "signal", "template_lost"])
def test_so_has_who_is_lost_early_with_no_work_done(reason: str) -> None:
    early, late, useful = ready(), ready(), ready()
    useful.finished_calls = 1
    for worker, left_at in ((early, 20.99), (late, 21.0), (useful, 20.99)):
        worker.leave(KILL, reason, left_at)
    assert [w.failed_to_start for w in (early, late, useful)] == [True, False, False]


@pytest.mark.parametrize("reason", ["drain", "unwanted", "ping", "timeout", "recycled_age"])
def test_who_is_asked_to_go_or_does_not_answer_has_not(reason: str) -> None:
    assert not leaving(starting(), KILL, reason).failed_to_start
    assert not leaving(ready(), KILL, reason).failed_to_start


def test_a_start_that_failed_was_before_it_was_ready() -> None:
    assert not leaving(ready(), KILL, "start").failed_to_start


def test_its_place_is_held_until_it_is_known_why_it_went() -> None:
    assert leaving(starting(), KILL).holds_its_place
    assert not leaving(starting(), KILL, "drain").holds_its_place
    assert not leaving(starting(), EXIT).holds_its_place
    assert not starting().holds_its_place


# All


def roster(*workers: Member) -> Roster[Member]:
    """All of them, named by their order."""
    table: Roster[Member] = Roster()
    for i, worker in enumerate(workers):
        worker.name = str(i)
        table.add(worker)
    return table


def test_the_table_is_in_order_and_may_change_while_it_is_read() -> None:
    table = roster(starting(), ready(), busy())
    for worker in table:
        table.remove(worker)
        assert len(table) == 2 - int(worker.name)
    assert list(table) == []


def test_who_is_counted_as_what() -> None:
    stand_in = starting()
    stand_in.stands_in = True
    table = roster(
        starting(),
        leaving(starting(), KILL),  # may have failed to start
        stand_in,
        ready(in_service=False),
        ready(in_service=False),
        released(ready(in_service=False)),
        ready(),
        ready(),
        busy(),
        busy(),
        given_up(),
        released(busy()),
        abandoned(),
        abandoned(),
        leaving(ready(), RETIRE, "idle"),
        leaving(abandoned(), KILL, "timeout"),
    )
    assert table.counts(waiting=5, keep=6, floor=7, spares=8) == Counts(
        starting=2,
        serving=5,
        slots=9,
        busy=2,
        waiting=5,
        spare=2,
        abandoned=2,
        keep=6,
        floor=7,
        reserve=8,
    )


def test_spares_are_wanted_only_where_something_serves() -> None:
    assert roster(abandoned(), starting()).counts(0, 0, 0, spares=2).reserve == 0


def test_who_is_held_back() -> None:
    spare = ready(in_service=False)
    table = roster(ready(), starting(), spare, released(ready(in_service=False)))
    assert table.spares() == [spare]


def test_who_is_to_be_replaced() -> None:
    workers = [ready(), busy(), ready(), abandoned(), leaving(ready(), RETIRE), starting()]
    table = roster(*workers)
    for worker in workers[1:]:
        worker.due = "recycled_age"
    workers[2].released = "recycled_age"
    assert table.due() == [workers[1]]
