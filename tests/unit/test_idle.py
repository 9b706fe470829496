"""Which worker is used next."""

from __future__ import annotations

from random import Random

from pool.ledger.idle import IdleSlots
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.slots import Slot


def worker(name: str, slots: int = 1) -> Member:
    return Member(name, slots, Term(), 0.0)


def idle(*workers: Member) -> IdleSlots[Member]:
    made: IdleSlots[Member] = IdleSlots()
    for each in workers:
        for slot in each.slots:
            made.put(slot)
    return made


def taken(slots: IdleSlots[Member], count: int) -> list[str]:
    found = [slots.take() for _ in range(count)]
    return [slot.worker.name for slot in found if slot is not None]


def test_the_worker_that_was_used_last_comes_first() -> None:
    slots = idle(worker("a"), worker("b"), worker("c"))
    assert taken(slots, 4) == ["c", "b", "a"]
    assert len(slots) == 0


def test_the_worker_with_the_fewest_calls_comes_before_it() -> None:
    slots = idle(worker("a", 3), worker("b", 3))
    assert taken(slots, 6) == ["b", "a", "a", "b", "b", "a"]


def test_a_slot_that_comes_back_counts() -> None:
    a, b = worker("a", 2), worker("b", 2)
    slots = idle(a, b)
    taken(slots, 4)
    slots.put(a.slots[0])
    slots.put(a.slots[1])
    slots.put(b.slots[0])
    assert (len(slots), taken(slots, 3)) == (3, ["a", "a", "b"])


def test_a_worker_that_is_withdrawn_is_not_used() -> None:
    a, b = worker("a", 2), worker("b", 2)
    slots = idle(a, b)
    taken(slots, 1)
    slots.withdraw(b)
    assert (len(slots), b.free) == (2, [])
    assert taken(slots, 3) == ["a", "a"]
    slots.withdraw(a)
    slots.withdraw(a)
    assert len(slots) == 0


def test_the_fewest_calls_whatever_the_order_of_events() -> None:
    random = Random(5)
    workers = [worker(name, 4) for name in "abc"]
    slots = idle(*workers)
    lent: list[Slot[Member]] = []
    for _ in range(2000):
        if lent and random.random() < 0.5:
            slots.put(lent.pop(random.randrange(len(lent))))
        elif len(slots):
            most_free = max(len(each.free) for each in workers)
            slot = slots.take()
            assert slot is not None
            assert len(slot.worker.free) == most_free - 1
            lent.append(slot)
        assert len(slots) == 12 - len(lent) == sum(len(each.free) for each in workers)
