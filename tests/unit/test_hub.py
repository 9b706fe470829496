"""Events: who is told of which, when, and what a listener may do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import pytest

from pool.telemetry.events import (
    EVENTS,
    FREQUENT,
    RARE,
    CallFinished,
    CheckoutGranted,
    CheckoutReturned,
    Event,
    PoolClosed,
    PoolRecovered,
    ReplyLate,
)
from pool.telemetry.hub import DELAY, MANY, Hub
from pool.telemetry.tables import CallsFinished, CheckoutsReturned, members
from pool.testing import run
from tests.unit.profiles import call


class Heard(list[Event]):
    """A listener; `portions` are the sizes in which it was told."""

    def __init__(self) -> None:
        self.portions: list[int] = []

    def __call__(self, events: Sequence[Event]) -> None:
        self.portions.append(len(events))
        self.extend(events)

    __hash__ = object.__hash__  # type: ignore[assignment]


def closed(at: float = 0.0) -> PoolClosed:
    return PoolClosed("p", at)


def granted(at: float = 0.0) -> CheckoutGranted:
    return CheckoutGranted("p", at, "p-1", 0.0)


async def turn() -> None:
    await asyncio.sleep(0)


async def told(heard: Heard) -> None:
    """Until it has been told something, which takes `DELAY` at most."""
    async with asyncio.timeout(20 * DELAY):
        while not heard:
            await turn()


async def test_a_rare_event_is_told_in_the_next_turn() -> None:
    hub, heard = Hub("p"), Heard()
    hub.listen(heard)
    hub.tell(closed())
    assert heard == []
    await turn()
    assert heard == [closed()]


async def test_rare_events_in_each_turn_do_not_put_it_off() -> None:
    hub, heard = Hub("p"), Heard()
    loop = asyncio.get_running_loop()

    def happens(left: int) -> None:
        if left:
            loop.call_soon(happens, left - 1)
        hub.tell(closed(left))

    hub.listen(heard)
    happens(9)
    await turn()
    assert [event.at for event in heard] == [9, 8]


async def test_a_frequent_one_waits_for_others() -> None:
    hub, heard = Hub("p"), Heard()
    hub.listen(heard, FREQUENT)
    began = asyncio.get_running_loop().time()
    hub.note(granted(1))
    await turn()
    hub.note(granted(2))
    await told(heard)
    assert heard.portions == [2]
    assert asyncio.get_running_loop().time() - began >= DELAY * 0.9


async def test_many_do_not_wait() -> None:
    hub, heard = Hub("p"), Heard()
    hub.listen(heard, FREQUENT)
    for at in range(MANY):
        hub.note(granted(at))
    await turn()
    assert heard.portions == [MANY]


@pytest.mark.parametrize("early", [Hub.flush, lambda hub: hub.tell(closed())])
def test_each_frequent_one_waits_for_as_long_as_the_first(early: Callable[[Hub], None]) -> None:
    async def when_told() -> list[float]:
        hub, told_at = Hub("p"), []
        now = asyncio.get_running_loop().time
        hub.listen(lambda _: told_at.append(now() - began), [CheckoutGranted, PoolClosed])
        began = now()
        hub.note(granted(1))
        await asyncio.sleep(0.03)
        early(hub)
        await asyncio.sleep(0.01)
        hub.note(granted(2))
        await asyncio.sleep(0.03)
        hub.note(granted(3))
        await asyncio.sleep(1)
        return told_at

    assert run(when_told()) == pytest.approx([0.03, 0.04 + DELAY])
    assert DELAY == 0.05


async def test_all_are_told_in_their_order() -> None:
    hub, heard = Hub("p"), Heard()
    hub.listen(heard, EVENTS)
    hub.note(granted(1))
    hub.tell(closed(2))
    hub.note(granted(3))
    await turn()
    assert [event.at for event in heard] == [1, 2, 3]


async def test_each_is_told_of_its_kinds_alone() -> None:
    hub, late, all_ = Hub("p"), Heard(), Heard()
    hub.listen(late, [ReplyLate])
    hub.listen(all_)
    hub.tell(closed())
    hub.tell(ReplyLate("p", 1.0, "p-1"))
    hub.flush()
    assert late == [ReplyLate("p", 1.0, "p-1")]
    assert late.portions == [1]
    assert len(all_) == 2


async def test_who_wants_nothing_of_what_happened_is_not_called() -> None:
    hub, heard, other = Hub("p"), Heard(), Heard()
    hub.listen(heard, [ReplyLate])
    hub.flush()
    hub.listen(other)
    hub.tell(closed())
    hub.flush()
    assert heard.portions == []
    assert other.portions == [1]


async def test_nothing_is_kept_that_nobody_wants() -> None:
    hub = Hub("p")
    hub.tell(closed())
    heard = Heard()
    hub.listen(heard, [PoolRecovered])
    hub.tell(closed())
    hub.flush()
    assert heard == []
    assert not hub.wants(PoolClosed)
    assert hub.wants(PoolRecovered)


def wanted(hub: Hub) -> tuple[bool, bool, bool]:
    return hub.calls.are_wanted, hub.checkouts.are_wanted, hub.granted


async def test_it_is_known_who_wants_what_comes_with_each_call() -> None:
    hub, heard = Hub("p"), Heard()
    assert wanted(hub) == (False, False, False)
    hub.listen(heard, FREQUENT)
    assert wanted(hub) == (True, True, True)
    hub.leave(heard)
    assert wanted(hub) == (False, False, False)
    hub.listen(heard, [CallsFinished])
    assert wanted(hub) == (True, False, False)


def add(hub: Hub, *instants: float) -> None:
    for at in instants:
        hub.checkouts.add((at, "p-1", 0.5, at))


async def test_a_table_is_told_after_all_else_that_happened_meanwhile() -> None:
    hub, heard = Hub("p"), Heard()
    hub.listen(heard, [CheckoutsReturned, PoolClosed])
    add(hub, 1, 2)
    hub.tell(closed(3))
    add(hub, 4)
    await turn()
    assert [event.name for event in heard] == ["pool.closed", "checkouts.returned"]
    table = heard[1]
    assert isinstance(table, CheckoutsReturned)
    assert (table.pool, table.at, table.held) == ("p", 4, [1, 2, 4])
    hub.flush()
    assert len(heard) == 2


async def test_a_table_is_told_without_anything_else() -> None:
    hub, heard = Hub("p"), Heard()
    hub.listen(heard, [CheckoutsReturned])
    began = asyncio.get_running_loop().time()
    add(hub, 1)
    await told(heard)
    assert asyncio.get_running_loop().time() - began >= DELAY * 0.9


async def test_calls_are_told_in_tables_and_one_by_one() -> None:
    hub, single, tabled = Hub("p"), Heard(), Heard()
    hub.listen(single, [CallFinished])
    hub.listen(tabled, [CallsFinished])
    calls = [call("a", at=1.0), call("b", at=2.0)]
    for each in calls:
        hub.calls.add(tuple(getattr(each, name) for name in members(CallFinished)))
    await told(tabled)
    assert single == calls
    assert tabled == [CallsFinished.from_events(calls)]


async def test_calls_are_told_without_anything_else() -> None:
    hub, heard = Hub("p"), Heard()
    hub.listen(heard, [CallsFinished])
    hub.calls.add(tuple(range(hub.calls.width)))
    await told(heard)
    assert heard.portions == [1]


async def test_the_same_is_told_one_by_one_and_in_tables() -> None:
    hub, single, tabled = Hub("p"), Heard(), Heard()
    hub.listen(single, [CheckoutReturned])
    add(hub, 1)
    hub.listen(tabled, [CheckoutsReturned])
    add(hub, 2, 3)
    hub.flush()
    assert single == [CheckoutReturned("p", at, "p-1", 0.5, at) for at in (1, 2, 3)]
    (table,) = tabled
    assert isinstance(table, CheckoutsReturned)
    assert [table.event(row) for row in range(len(table))] == single[1:]


async def test_who_leaves_is_told_what_happened_before() -> None:
    hub, heard = Hub("p"), Heard()
    hub.listen(heard)
    hub.tell(closed(1))
    hub.leave(heard)
    hub.tell(closed(2))
    hub.flush()
    assert heard == [closed(1)]


async def test_who_comes_is_told_nothing_that_happened_before() -> None:
    hub, first, second = Hub("p"), Heard(), Heard()
    hub.listen(first)
    hub.tell(closed(1))
    hub.listen(second)
    hub.tell(closed(2))
    hub.flush()
    assert (len(first), len(second)) == (2, 1)


async def test_who_fails_is_told_no_more_and_the_others_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(events: Sequence[Event]) -> None:
        raise OSError("no disk")

    hub, heard = Hub("p"), Heard()
    hub.listen(fails, EVENTS)
    hub.listen(heard)
    with caplog.at_level(logging.ERROR, "bridgepool"):
        hub.tell(closed(1))
        hub.flush()
        hub.tell(closed(2))
        hub.flush()
    assert len(heard) == 2
    assert len(caplog.records) == 1
    assert caplog.records[0].name == "bridgepool"
    assert caplog.records[0].getMessage() == f"{fails!r} failed: it is told of no more events"
    assert "no disk" in caplog.text
    assert not hub.calls.are_wanted


async def test_a_listener_may_cause_events_and_leave() -> None:
    hub, heard = Hub("p"), Heard()

    def echo(events: Sequence[Event]) -> None:
        hub.leave(echo)
        hub.tell(PoolRecovered("p", 9.0))

    hub.listen(echo, [PoolClosed])
    hub.listen(heard)
    hub.tell(closed(1))
    await turn()
    await turn()
    assert [event.name for event in heard] == ["pool.closed", "pool.recovered"]


def test_names_are_dotted_and_levels_are_known() -> None:
    names = [kind.name for kind in EVENTS]
    assert len(set(names)) == len(names)
    assert all(name.count(".") == 1 for name in names)
    assert {kind.level for kind in EVENTS} == {"debug", "info", "warning"}
    assert set(FREQUENT) | set(RARE) == set(EVENTS)
    assert not set(FREQUENT) & set(RARE)
