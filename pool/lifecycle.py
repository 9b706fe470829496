"""The states of pools, workers, slots and circuits: one table each. Pure.

A pair that is not in its table is a bug and raises `IllegalTransition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar


class IllegalTransition(RuntimeError):
    """An event met a state that has no rule for it."""


class _Named(Enum):
    # Its members are looked up in the tables at every call: Enum's own hash is slow.
    __hash__ = object.__hash__


class WorkerState(_Named):
    STARTING = "starting"
    READY = "ready"
    RETIRING = "retiring"
    KILLING = "killing"
    EXITED = "exited"


class WorkerEvent(_Named):
    HANDSHAKEN = "handshaken"
    RETIRE = "retire"
    KILL = "kill"
    EXIT = "exit"


class SlotState(_Named):
    FREE = "free"
    BUSY = "busy"
    ABANDONED = "abandoned"


class SlotEvent(_Named):
    LEND = "lend"
    GIVE_BACK = "give back"
    ABANDON = "abandon"
    LATE_REPLY = "late reply"


class PoolState(_Named):
    NEW = "new"
    OPEN = "open"
    FAILED = "failed"
    DRAINING = "draining"
    CLOSED = "closed"


class PoolEvent(_Named):
    OPEN = "open"
    CRASH_LOOP = "crash loop"
    PROBE = "probe"
    DRAIN = "drain"
    CLOSE = "close"


class CircuitState(_Named):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitEvent(_Named):
    TRIP = "trip"
    PROBE = "probe"
    CLOSE = "close"


WORKER = {
    (WorkerState.STARTING, WorkerEvent.HANDSHAKEN): WorkerState.READY,
    (WorkerState.STARTING, WorkerEvent.KILL): WorkerState.KILLING,
    (WorkerState.STARTING, WorkerEvent.EXIT): WorkerState.EXITED,
    (WorkerState.READY, WorkerEvent.RETIRE): WorkerState.RETIRING,
    (WorkerState.READY, WorkerEvent.KILL): WorkerState.KILLING,
    (WorkerState.READY, WorkerEvent.EXIT): WorkerState.EXITED,
    (WorkerState.RETIRING, WorkerEvent.KILL): WorkerState.KILLING,
    (WorkerState.RETIRING, WorkerEvent.EXIT): WorkerState.EXITED,
    (WorkerState.KILLING, WorkerEvent.KILL): WorkerState.KILLING,
    (WorkerState.KILLING, WorkerEvent.EXIT): WorkerState.EXITED,
}

SLOT = {
    (SlotState.FREE, SlotEvent.LEND): SlotState.BUSY,
    (SlotState.BUSY, SlotEvent.GIVE_BACK): SlotState.FREE,
    (SlotState.BUSY, SlotEvent.ABANDON): SlotState.ABANDONED,
    (SlotState.ABANDONED, SlotEvent.LATE_REPLY): SlotState.FREE,
}

POOL = {
    (PoolState.NEW, PoolEvent.OPEN): PoolState.OPEN,
    (PoolState.NEW, PoolEvent.CLOSE): PoolState.CLOSED,
    (PoolState.OPEN, PoolEvent.CRASH_LOOP): PoolState.FAILED,
    (PoolState.FAILED, PoolEvent.PROBE): PoolState.OPEN,
    (PoolState.OPEN, PoolEvent.DRAIN): PoolState.DRAINING,
    (PoolState.FAILED, PoolEvent.DRAIN): PoolState.DRAINING,
    (PoolState.DRAINING, PoolEvent.DRAIN): PoolState.DRAINING,
    (PoolState.DRAINING, PoolEvent.CLOSE): PoolState.CLOSED,
}

CIRCUIT = {
    (CircuitState.CLOSED, CircuitEvent.TRIP): CircuitState.OPEN,
    (CircuitState.OPEN, CircuitEvent.PROBE): CircuitState.HALF_OPEN,
    (CircuitState.HALF_OPEN, CircuitEvent.TRIP): CircuitState.OPEN,
    (CircuitState.HALF_OPEN, CircuitEvent.CLOSE): CircuitState.CLOSED,
}

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


def advance(table: Mapping[tuple[S, E], S], state: S, event: E) -> S:
    """Return the state that follows `state` on `event`."""
    try:
        return table[state, event]
    except KeyError:
        raise IllegalTransition(f"{event} in {state}") from None
