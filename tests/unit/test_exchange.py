"""What goes to and fro with one worker, and what its party is told, without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from bridge.frames import FrameDecoder
from bridge.messages import Reply
from bridge.messages.secrets import Secrets
from pool import BrokenWorkerError, CallTimeout, LeaseClosed, PoolError
from pool.clock import Clock
from pool.config import PoolConfig
from pool.exchange.calls import prepare
from pool.exchange.exchange import Exchange
from pool.exchange.feed import WINDOW, Feed
from pool.exchange.inflight import Call
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.lifecycle import SlotEvent, SlotState
from pool.sessions import SessionStore
from pool.slots import Slot
from pool.testing import run
from pool.timeouts import Deadline

NEVER = Deadline(None, None)
PREPARED = prepare("echo", {}, None, 10_000)


class Wire:
    """A link that keeps what is written, as JSON, and says nothing of itself."""

    def __init__(self) -> None:
        self.queued = self.sent = 0
        self.pauses = [False]
        self.said: list[dict[str, Any]] = []
        self._frames = FrameDecoder()

    def write(self, frame: bytes) -> None:
        self.queued += len(frame)
        self.sent += len(frame)
        self._frames.feed(bytes(frame))
        while (payload := self._frames.next()) is not None:
            self.said.append(msgspec.json.decode(payload))

    write_soon = write

    def pause_reading(self) -> None:
        self.pauses.append(True)

    def resume_reading(self) -> None:
        self.pauses.append(False)

    def is_paused(self) -> bool:
        return self.pauses[-1]


class Party:
    """A worker that notes what it is told."""

    name, pid, is_busy = "w", 1, True

    def __init__(self) -> None:
        self.told: list[object] = []
        self.is_stuck = asyncio.Event()

    def answered(self, call: Call, reply: Reply, now: float) -> None:
        self.told.append(("answered", call.id))

    def ended(self, call: Call, outcome: str) -> None:
        self.told.append((outcome, call.id))

    def answered_late(self, call: Call | None) -> None:
        self.told.append(("late", call and call.id))
        if call is not None and call.slot is not None:
            call.slot.advance(SlotEvent.LATE_REPLY)

    def stuck(self) -> None:
        self.is_stuck.set()

    def nonsense(self, what: str) -> None:
        self.told.append(what)


class Worker:
    """An exchange with its wire and its party; `slots` are lent."""

    def __init__(self, *capabilities: str) -> None:
        self.wire, self.party, self.clock = Wire(), Party(), Clock()
        config = PoolConfig(bridge="b", late_reply_timeout=0.005)
        given: Any = (self.wire, config, SessionStore(), Secrets(), self.clock, self.party)
        self.exchange = Exchange(*given)
        self.exchange.agree([*capabilities])
        self.slots = Member("w", 4, Term(), 0.0).slots
        for slot in self.slots:
            slot.advance(SlotEvent.LEND)

    def sends(self, slot: Slot[Any] | None = None, deadline: Deadline = NEVER) -> Call:
        now = self.clock.now()
        return self.exchange.send(slot or self.slots[0], PREPARED, now, deadline, Call)

    def streams(self) -> Feed:
        return self.exchange.send(self.slots[0], PREPARED, self.clock.now(), NEVER, Feed)

    def state(self) -> SlotState:
        """Of the first slot."""
        return self.slots[0].state

    def receives(self, **reply: Any) -> None:
        self.exchange.receive(msgspec.json.encode(reply))

    def item(self, call: Call, data: object) -> None:
        self.receives(id=call.id, event="item", data=data)

    def lose(self) -> None:
        def loss(call: Call, sent: bool) -> PoolError:
            return BrokenWorkerError(call.prepared.command, request_sent=sent, worker="w")

        self.exchange.close(loss)

    @property
    def controls(self) -> list[dict[str, Any]]:
        return [said for said in self.wire.said if "id" not in said]


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    made = Worker("cancel", "credit", "concurrent")
    yield made
    made.clock.close()


@pytest.fixture
async def foreign() -> AsyncIterator[Worker]:
    made = Worker()
    yield made
    made.clock.close()


async def waits_for(call: Call) -> asyncio.Task[Reply]:
    async def wait() -> Reply:
        return await call

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    return task


async def test_replies_in_any_order_reach_their_callers(worker: Worker) -> None:
    calls = [worker.sends(slot) for slot in worker.slots]
    tasks = [await waits_for(call) for call in calls]
    for call in (calls[2], calls[0], calls[3], calls[1]):
        worker.receives(id=call.id, success=True, result={"is": call.id})
    replies = [msgspec.json.decode((await task).result) for task in tasks]
    assert replies == [{"is": call.id} for call in calls]
    assert worker.controls == []


def test_one_alarm_serves_the_deadlines_of_all() -> None:
    ended: list[tuple[float, float]] = []

    async def call(worker: Worker, slot: Slot[Any], allowed: float) -> None:
        began = worker.clock.now()
        with pytest.raises(CallTimeout):
            await worker.sends(slot, Deadline.after(began, allowed))
        ended.append((allowed, round(worker.clock.now() - began, 3)))

    async def main() -> None:
        worker = Worker()
        seconds = (2.0, 1.0, 60.0, 3.0)
        async with asyncio.TaskGroup() as tasks:
            for slot, allowed in zip(worker.slots, seconds, strict=True):
                tasks.create_task(call(worker, slot, allowed))
        worker.clock.close()

    run(main())
    assert ended == [(seconds, seconds) for seconds in (1.0, 2.0, 3.0, 60.0)]


async def test_a_call_that_is_given_up_is_cancelled_there_and_watched(worker: Worker) -> None:
    call = worker.sends()
    task = await waits_for(call)
    task.cancel()
    await asyncio.wait([task])
    assert worker.controls == [{"command": "$cancel", "args": {"id": call.id}}]
    assert worker.state() is SlotState.ABANDONED
    assert worker.party.told == [("cancelled", call.id)]
    worker.receives(id=call.id, success=False, error="x", error_type="Cancelled")
    assert worker.state() is SlotState.FREE
    assert worker.party.told == [("cancelled", call.id), ("late", call.id)]


async def test_who_knows_no_cancellation_is_told_of_none(foreign: Worker) -> None:
    task = await waits_for(foreign.sends())
    task.cancel()
    await asyncio.wait([task])
    assert foreign.controls == []
    await foreign.party.is_stuck.wait()


async def test_what_others_do_with_the_worker_does_not_end_the_watch(foreign: Worker) -> None:
    """A reader that goes on to wait, or stops to, changes nothing of what was given up."""
    feed = foreign.streams()
    foreign.exchange.leave(feed)
    foreign.exchange.expect(feed, 60.0)
    foreign.exchange.expect(feed, None)
    await foreign.party.is_stuck.wait()


async def test_a_loss_is_told_to_each_call_by_itself(worker: Worker) -> None:
    calls = [worker.sends(slot) for slot in worker.slots[:2]]
    tasks = [await waits_for(call) for call in calls]
    worker.lose()
    errors = [task.exception() for task in (await asyncio.wait(tasks))[0]]
    assert len(set(map(id, errors))) == 2
    assert all(isinstance(error, BrokenWorkerError) for error in errors)
    assert worker.party.told == [("worker_lost", call.id) for call in calls]


async def test_a_call_whose_caller_is_cancelled_as_its_worker_is_lost_has_ended_too(
    worker: Worker,
) -> None:
    call = worker.sends()
    task = await waits_for(call)
    task.cancel()
    worker.lose()
    await asyncio.wait([task])
    assert task.cancelled()
    assert worker.party.told == [("cancelled", call.id)]


async def test_a_call_that_was_given_up_before_the_loss_has_ended_once(worker: Worker) -> None:
    call = worker.sends()
    task = await waits_for(call)
    task.cancel()
    await asyncio.wait([task])
    worker.lose()
    assert worker.party.told == [("cancelled", call.id)]


async def test_a_call_on_a_lease_that_ends_ends_with_it(worker: Worker) -> None:
    call = worker.sends()
    task = await waits_for(call)
    assert worker.exchange.end(call) is True
    with pytest.raises(LeaseClosed):
        await task
    worker.receives(id=call.id, success=True, result={})
    assert worker.exchange.end(call) is False


# Streams


async def test_credit_is_given_for_what_was_taken(worker: Worker) -> None:
    feed = worker.streams()
    worker.exchange.took(feed, 7)
    assert worker.controls == [{"command": "$credit", "args": {"id": feed.id, "items": 7}}]
    worker.receives(id=feed.id, success=True, result={})
    worker.exchange.took(feed, 7)
    assert len(worker.controls) == 1


async def test_items_beyond_the_window_are_nonsense_from_who_knows_of_credit(
    worker: Worker,
) -> None:
    feed = worker.streams()
    for i in range(WINDOW):
        worker.item(feed, i)
    assert worker.party.told == []
    worker.item(feed, WINDOW)
    assert worker.party.told == ["it sent more for 'echo' than it may"]
    assert not worker.wire.is_paused()


async def test_items_beyond_the_window_have_to_wait_where_it_cannot_know(foreign: Worker) -> None:
    feed = foreign.streams()
    for i in range(WINDOW + 1):
        assert not foreign.wire.is_paused()
        foreign.item(feed, i)
    assert foreign.wire.is_paused()
    for _ in range(WINDOW // 2):
        feed.items.popleft()
        foreign.exchange.took(feed, 1)
    assert foreign.wire.is_paused()
    feed.items.popleft()
    foreign.exchange.took(feed, 1)
    assert not foreign.wire.is_paused()
    assert foreign.party.told == foreign.controls == []


@pytest.mark.parametrize("is_answered", [False, True])
async def test_who_waits_for_the_reader_waits_no_more_when_there_is_none(
    foreign: Worker, is_answered: bool
) -> None:
    for over in (foreign.exchange.leave, foreign.exchange.end):
        feed = foreign.streams()
        for i in range(WINDOW + 1):
            foreign.item(feed, i)
        if is_answered:
            foreign.receives(id=feed.id, success=True, result={})
        assert foreign.wire.is_paused()
        over(feed)
        assert not foreign.wire.is_paused()
        foreign.item(feed, "late")
        assert len(feed.items) == WINDOW + 1
        if not is_answered:
            foreign.receives(id=feed.id, success=True, result={})
            foreign.slots[0].advance(SlotEvent.LEND)
