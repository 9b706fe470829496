"""Every pair of state and event is either in its table or an error."""

from __future__ import annotations

from enum import Enum
from itertools import product
from typing import Any

import pytest

from pool.lifecycle import (
    CIRCUIT,
    POOL,
    SLOT,
    WORKER,
    CircuitEvent,
    CircuitState,
    IllegalTransition,
    PoolEvent,
    PoolState,
    SlotEvent,
    SlotState,
    WorkerEvent,
    WorkerState,
    advance,
)

TABLES: list[tuple[dict[Any, Any], type[Enum], type[Enum]]] = [
    (WORKER, WorkerState, WorkerEvent),
    (SLOT, SlotState, SlotEvent),
    (POOL, PoolState, PoolEvent),
    (CIRCUIT, CircuitState, CircuitEvent),
]
RULES = """
worker
    starting, handshaken: ready
    starting, kill: killing
    starting, exit: exited
    ready, retire: retiring
    ready, kill: killing
    ready, exit: exited
    retiring, kill: killing
    retiring, exit: exited
    killing, kill: killing
    killing, exit: exited
slot
    free, lend: busy
    busy, give back: free
    busy, abandon: abandoned
    abandoned, late reply: free
pool
    new, open: open
    new, close: closed
    open, crash loop: failed
    failed, probe: open
    open, drain: draining
    failed, drain: draining
    draining, drain: draining
    draining, close: closed
circuit
    closed, trip: open
    open, probe: half-open
    half-open, trip: open
    half-open, close: closed
"""
PAIRS = [
    (table, state, event)
    for table, states, events in TABLES
    for state, event in product(states, events)
]


@pytest.mark.parametrize(("table", "state", "event"), PAIRS)
def test_a_pair_follows_its_table_or_raises(table: Any, state: Enum, event: Enum) -> None:
    if (state, event) in table:
        assert advance(table, state, event) is table[state, event]
    else:
        with pytest.raises(IllegalTransition, match=str(event)):
            advance(table, state, event)


def test_these_are_the_rules() -> None:
    lines = []
    for name, (table, _, _) in zip(("worker", "slot", "pool", "circuit"), TABLES, strict=True):
        rules = table.items()
        lines += [name, *(f"    {a.value}, {event.value}: {b.value}" for (a, event), b in rules)]
    assert lines == RULES.strip().splitlines()


def test_an_exited_worker_stays_so() -> None:
    assert not [pair for pair in WORKER if pair[0] is WorkerState.EXITED]


def test_any_living_worker_can_be_killed_or_exit_by_itself() -> None:
    for state in set(WorkerState) - {WorkerState.EXITED}:
        assert advance(WORKER, state, WorkerEvent.KILL) is WorkerState.KILLING
        assert advance(WORKER, state, WorkerEvent.EXIT) is WorkerState.EXITED


def test_an_open_circuit_closes_by_way_of_probes_alone() -> None:
    assert [state for (state, _), after in CIRCUIT.items() if after is CircuitState.CLOSED] == [
        CircuitState.HALF_OPEN
    ]
    assert [event for (state, event) in CIRCUIT if state is CircuitState.OPEN] == [
        CircuitEvent.PROBE
    ]


def test_an_abandoned_slot_is_never_lent() -> None:
    assert (SlotState.ABANDONED, SlotEvent.LEND) not in SLOT
