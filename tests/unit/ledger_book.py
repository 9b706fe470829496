"""A ledger by itself, and short words for what happens to it."""

from __future__ import annotations

from random import Random
from typing import Any

from pool.config import PoolConfig
from pool.errors import PoolClosed, WorkerStartError
from pool.ledger import Ledger
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.lifecycle import WorkerEvent
from pool.slots import Slot
from tests.unit.ledger_keeper import Ticket

Book = Ledger[Member]
ERROR = WorkerStartError("gone", worker="w")


def opened(**settings: Any) -> Book:
    """Open, with all that there is to do done."""
    book: Book = Ledger(PoolConfig(bridge="b", **settings), Random(0))
    book.open()
    book.validated()
    book.settled()
    return book


def starts(
    book: Book, now: float = 0.0, *, slots: int = 1, stands_in: bool = False, **limits: Any
) -> Member:
    worker = Member(f"w{len(book.roster)}", slots, Term(**limits), now)
    book.add(worker, stands_in=stands_in)
    return worker


def is_ready(book: Book, worker: Member, now: float = 0.0) -> Member:
    worker.handshaken(now)
    book.ready(worker, now)
    book.settled()
    return worker


def serves(book: Book, now: float = 0.0, *, slots: int = 1, **limits: Any) -> Member:
    """One more, in service in any case."""
    worker = starts(book, now, slots=slots, **limits)
    worker.handshaken(now)
    book.put_in_service(worker, now)
    book.settled()
    return worker


def lend(book: Book, now: float = 0.0) -> Slot[Member]:
    slot = book.lobby.take_idle(now)
    assert slot is not None
    return slot


def waits(book: Book) -> Ticket:
    ticket = Ticket(None)
    book.join(ticket)
    return ticket


def loses(book: Book, worker: Member, now: float = 0.0, reason: str = "") -> bool:
    worker.leave(WorkerEvent.KILL, reason, now)
    book.leaves(worker)
    worker.exited()
    return book.exited(worker, None if reason == "drain" else ERROR, now)


def closed() -> PoolClosed:
    return PoolClosed("closed")
