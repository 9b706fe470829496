"""Any order of events leaves a ledger whole: found by Hypothesis, not by imagination."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pool.capacity import starts
from pool.config import PoolConfig
from pool.ledger import Fitness
from pool.ledger.members import Member
from pool.ledger.rules import decide
from pool.lifecycle import PoolState, SlotState, WorkerState
from pool.slots import Slot
from tests.unit.ledger_keeper import Keeper, ReadyWait, Ticket

CONFIGS = st.builds(
    lambda size, overflow, spares, min_ready, **rest: PoolConfig(
        bridge="b",
        size=size,
        overflow=overflow,
        spares=spares,
        min_ready=min(min_ready, size),
        **rest,
    ),
    size=st.integers(1, 4),
    overflow=st.integers(0, 2),
    spares=st.integers(0, 2),
    min_ready=st.integers(0, 3),
    concurrency=st.sampled_from([1, 2, 8]),
    max_waiting=st.sampled_from([0, 2, None]),
    start_concurrency=st.sampled_from([1, 2, 4]),
    idle_timeout=st.sampled_from([None, 1.0]),
    max_calls=st.sampled_from([None, 1, 5]),
    max_age=st.sampled_from([None, 20.0]),
    max_memory=st.sampled_from([None, 2**30]),
    max_restarts=st.sampled_from([0, 3]),
)
TIMEOUTS = st.sampled_from([None, 0.0, 0.5, 30.0])
TIMES = st.sampled_from([0.0, 0.01, 0.5, 1.0, 10.0, 61.0])
ONE_IN_FOUR = [False, False, False, True]
LOSSES = st.sampled_from(["", "protocol", "timeout"])


def some(find: Callable[[LedgerMachine], object]) -> Callable[[LedgerMachine], bool]:
    return lambda machine: bool(find(machine))


def count_of(worker: Member, state: SlotState) -> int:
    return sum(slot.state is state for slot in worker.slots)


class LedgerMachine(RuleBasedStateMachine):
    """Plays callers, processes and the clock."""

    keeper: Keeper

    @initialize(
        config=CONFIGS,
        seed=st.integers(0, 9),
        one_at_a_time=st.sampled_from(ONE_IN_FOUR),
        callers=st.integers(0, 9),
    )
    def open(self, config: PoolConfig, seed: int, one_at_a_time: bool, callers: int) -> None:
        """With so many callers at once, who have what they came for before anything goes wrong."""
        self.keeper = Keeper(config, seed)
        self.one_at_a_time = one_at_a_time
        self.ready_waits: list[ReadyWait] = []
        for _ in range(callers):
            self.keeper.checkout(None)
        if self.keeper.validating:
            self.keeper.validated(fit=True)
        while starting := self.starting():
            self.keeper.ready(starting[0], one_at_a_time=one_at_a_time)

    # Helpers

    def workers(self, *states: WorkerState) -> list[Member]:
        return [w for w in self.keeper.ledger.roster if w.state in states]

    def starting(self) -> list[Member]:
        return self.workers(WorkerState.STARTING)

    def leaving(self) -> list[Member]:
        return self.workers(WorkerState.KILLING, WorkerState.RETIRING)

    def there(self) -> list[Member]:
        return self.workers(WorkerState.STARTING, WorkerState.READY)

    def serving_leases(self) -> list[Slot[Member]]:
        return [slot for slot in self.keeper.leases if slot.worker.is_ready]

    def late(self) -> list[Slot[Member]]:
        return [slot for slot in self.keeper.abandoned if slot.worker.is_ready]

    def given_up_on(self) -> list[Member]:
        return [worker for worker in self.workers(WorkerState.READY) if worker.has_abandoned]

    # Callers

    @rule(timeout=TIMEOUTS)
    def checkout(self, timeout: float | None) -> None:
        lendable = [len(worker.free) for worker in self.keeper.ledger.roster]
        ticket = self.keeper.checkout(timeout)
        if ticket is not None and any(lendable):
            # At once, on one of those with the fewest calls.
            assert ticket.slot is not None
            assert len(ticket.slot.worker.free) == max(lendable) - 1

    @precondition(some(lambda m: m.keeper.waiting))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket: Ticket = data.draw(st.sampled_from(self.keeper.waiting))
        self.keeper.cancel(ticket)

    @precondition(some(lambda m: m.keeper.leases))
    @rule(data=st.data(), answered=st.integers(0, 2))
    def give_back(self, data: st.DataObject, answered: int) -> None:
        slot: Slot[Member] = data.draw(st.sampled_from(self.keeper.leases))
        if answered and slot.worker.is_ready:
            self.keeper.answer(slot, answered)
        self.keeper.give_back(slot)

    @precondition(some(serving_leases))
    @rule(data=st.data())
    def call_times_out(self, data: st.DataObject) -> None:
        self.keeper.abandon(data.draw(st.sampled_from(self.serving_leases())))

    @precondition(some(late))
    @rule(data=st.data())
    def late_reply(self, data: st.DataObject) -> None:
        self.keeper.late_reply(data.draw(st.sampled_from(self.late())))

    @precondition(some(given_up_on))
    @rule(data=st.data())
    def late_reply_is_overdue(self, data: st.DataObject) -> None:
        self.keeper.stuck(data.draw(st.sampled_from(self.given_up_on())))

    @precondition(some(serving_leases))
    @rule(data=st.data())
    def call_never_ends(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(self.serving_leases()))
        self.keeper.abandon(slot)
        if slot.worker.is_ready:
            self.keeper.stuck(slot.worker)

    @rule(share=st.integers(1, 4))
    def wait_ready(self, share: int) -> None:
        wait = ReadyWait(min(share, self.keeper.config.size))
        self.ready_waits.append(wait)
        self.keeper.ledger.join_ready(wait)
        self.keeper.settle()

    # Workers

    @precondition(some(starting))
    @rule(data=st.data())
    def ready(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.starting()))
        self.keeper.ready(worker, one_at_a_time=self.one_at_a_time)

    @precondition(some(there))
    @rule(data=st.data(), reason=LOSSES)
    def lose(self, data: st.DataObject, reason: str) -> None:
        self.keeper.lose(data.draw(st.sampled_from(self.there())), reason)

    @precondition(some(leaving))
    @rule(data=st.data())
    def exit(self, data: st.DataObject) -> None:
        self.keeper.exit(data.draw(st.sampled_from(self.leaving())))

    @precondition(some(there))
    @rule(data=st.data(), gigabytes=st.integers(0, 2))
    def measure(self, data: st.DataObject, gigabytes: int) -> None:
        worker = data.draw(st.sampled_from(self.there()))
        self.keeper.ledger.measured(worker, gigabytes * 2**30, self.keeper.now)
        self.keeper.settle()

    # The pool

    @precondition(some(lambda m: m.keeper.validating))
    @rule(fit=st.sampled_from([True, True, False]))
    def validated(self, fit: bool) -> None:
        self.keeper.validated(fit=fit)

    @precondition(lambda m: m.keeper.ledger.life.may_grow and not m.keeper.validating)
    @rule()
    def reload(self) -> None:
        self.keeper.ledger.renewed(outdated=lambda _: True)
        self.keeper.settle()

    @rule()
    def reload_is_cancelled(self) -> None:
        self.keeper.ledger.pardon("reload")
        self.keeper.settle()

    @rule(size=st.integers(1, 4), overflow=st.integers(0, 2))
    def resize(self, size: int, overflow: int) -> None:
        self.keeper.ledger.resize(size, overflow)
        self.keeper.settle()

    @rule(seconds=TIMES)
    def time_passes(self, seconds: float) -> None:
        self.keeper.pass_time(seconds)

    @precondition(lambda m: m.keeper.ledger.life.state is not PoolState.CLOSED)
    @rule(really=st.sampled_from(ONE_IN_FOUR))
    def drain(self, really: bool) -> None:
        if really:  # it is the end of most of what may happen
            self.keeper.ledger.drain()
            self.keeper.settle()

    # Always

    @invariant()
    def nothing_is_left_to_do(self) -> None:
        assert decide(self.keeper.ledger, self.keeper.now) == []

    @invariant()
    def slots_add_up(self) -> None:
        lent = self.keeper.leases
        assert len(set(map(id, lent))) == len(lent)
        for worker in self.keeper.ledger.roster:
            for slot in worker.slots:
                assert (slot.state is SlotState.BUSY) == (slot in lent)
                assert (slot.state is SlotState.ABANDONED) == (slot in self.keeper.abandoned)
            busy, free = count_of(worker, SlotState.BUSY), count_of(worker, SlotState.FREE)
            assert (worker.busy_slots, worker.usable_slots) == (busy, busy + free)

    @invariant()
    def who_is_stuck_is_lent_no_more_and_ends_when_its_neighbours_have(self) -> None:
        for worker in self.workers(WorkerState.READY):
            if worker.is_stuck:
                assert worker.released
                assert not worker.free
                assert worker.is_busy

    @invariant()
    def all_know_how_many_calls_a_worker_takes(self) -> None:
        ledger = self.keeper.ledger
        for worker in self.workers(WorkerState.READY):
            assert len(worker.slots) == ledger.limits.concurrency

    @invariant()
    def nobody_waits_while_a_worker_idles(self) -> None:
        ledger = self.keeper.ledger
        free = [
            slot
            for worker in ledger.roster
            if worker.is_ready and worker.in_service and not worker.released
            for slot in worker.slots
            if slot.state is SlotState.FREE
        ]
        assert ledger.lobby.idle_slots == len(free)
        assert not (free and ledger.lobby.waiting)

    @invariant()
    def nobody_waits_while_a_spare_is_held_back(self) -> None:
        ledger = self.keeper.ledger
        most = ledger.limits.size + ledger.limits.overflow
        if ledger.lobby.waiting and ledger.counts().serving < most and not ledger.is_over:
            assert not ledger.roster.spares()

    @invariant()
    def who_has_idled_for_its_time_goes(self) -> None:
        ledger, linger = self.keeper.ledger, self.keeper.config.idle_timeout
        counts = ledger.counts()
        if linger is not None and counts.serving > counts.floor:
            for worker in ledger.roster:
                if worker.is_idle and worker.in_service and not worker.released:
                    assert self.keeper.now < worker.last_active + linger

    @invariant()
    def each_waiter_is_in_the_queue_or_has_ended(self) -> None:
        assert self.keeper.ledger.lobby.waiting == len(self.keeper.waiting)

    @invariant()
    def whoever_is_missing_is_on_the_way(self) -> None:
        ledger, counts = self.keeper.ledger, self.keeper.ledger.counts()
        held_back = ledger.fitness is not Fitness.FIT or ledger.restarts.failed_at is not None
        if ledger.life.state is not PoolState.NEW and not ledger.is_over and not held_back:
            assert starts(ledger.limits, counts) == 0

    @invariant()
    def no_more_start_at_once_than_may(self) -> None:
        ledger = self.keeper.ledger
        assert (
            len([w for w in self.starting() if not w.stands_in]) <= ledger.limits.start_concurrency
        )
        assert len([w for w in self.starting() if w.stands_in]) <= 1

    # In the end

    def teardown(self) -> None:
        """All who wait are served once the world behaves, and nothing remains after close."""
        if not hasattr(self, "keeper"):
            return
        try:
            self._serve_everybody()
            self._close()
        finally:
            del self.keeper

    def _serve_everybody(self) -> None:
        keeper = self.keeper
        patient = [ticket for ticket in keeper.waiting if ticket.deadline is None]
        for _ in range(200):
            self._let_the_world_behave()
            if keeper.ledger.lobby.is_empty:
                break
            keeper.pass_time(1.0)
        assert all(ticket.has_ended for ticket in patient)
        assert all(wait.has_ended for wait in self.ready_waits) or not keeper.ledger.life.may_grow

    def _let_the_world_behave(self) -> None:
        keeper = self.keeper
        if keeper.validating:
            keeper.validated(fit=True)
        for worker in self.leaving():
            keeper.exit(worker)
        # What each of them brings about may end others, such as a stand-in nobody needs any more.
        while starting := self.starting():
            keeper.ready(starting[0], one_at_a_time=self.one_at_a_time)
        while late := self.late():
            keeper.late_reply(late[0])
        for slot in list(keeper.leases):
            keeper.answer(slot)
            keeper.give_back(slot)

    def _close(self) -> None:
        keeper = self.keeper
        keeper.close()
        keeper.pass_time(keeper.config.grace_period)
        for worker in keeper.ledger.roster:
            keeper.exit(worker)
        assert not keeper.waiting
        assert keeper.ledger.is_over
        assert not keeper.ledger.roster
        assert all(wait.has_ended for wait in self.ready_waits)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=settings().max_examples * 3,  # 300, unless a profile says otherwise
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
