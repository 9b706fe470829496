"""Whoever listens to a pool hears as much of everything as the pool counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pool import PoolStats, WorkerPool
from pool.telemetry.events import (
    EVENTS,
    CallFinished,
    CallRetried,
    CheckoutExpired,
    CheckoutGranted,
    CheckoutReturned,
    CheckoutShed,
    EnvironmentValidated,
    Event,
    PingAnswered,
    ReplyLate,
    WorkerExited,
    WorkerLost,
    WorkerStarted,
)
from pool.telemetry.tables import TABLES, CallsFinished, CheckoutsReturned


class Audit:
    """Hears all, from before the pool is opened until it is closed."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._heard: dict[type[Event], list[Any]] = {kind: [] for kind in (*EVENTS, *TABLES)}
        pool.listen(self._hear, self._heard)

    def _hear(self, events: Sequence[Event]) -> None:
        for event in events:
            self._heard[type(event)].append(event)

    def check(self, *, unsent: int, leapt: bool) -> None:
        """Raise `AssertionError` where what was told is not what was counted.

        Calls that failed before they were sent are counted only: at most so many of a worker
        that was lost, and where the clock leapt those whose time that took.
        """
        stats = self._pool.stats()
        self._checkouts_agree(stats)
        self._calls_agree(stats, unsent, leapt=leapt)
        self._workers_agree(stats)
        assert self._count(EnvironmentValidated) == sum(stats.validations.values())
        assert self._count(CallRetried) == stats.retries
        assert self._count(ReplyLate) == stats.late_replies
        assert self._count(PingAnswered) == stats.pings.get("ok", 0)

    def _count(self, kind: type[Event]) -> int:
        return len(self._heard[kind])

    def _rows(self, kind: type[Any]) -> list[Any]:
        return [event for table in self._heard[kind] for event in table.events()]

    def _checkouts_agree(self, stats: PoolStats) -> None:
        counted = Counter(stats.checkouts)
        assert self._count(CheckoutGranted) == counted["ok"]
        assert self._count(CheckoutReturned) == counted["ok"], "not given back once each"
        assert self._count(CheckoutShed) == counted["shed"]
        assert self._count(CheckoutExpired) == counted["timeout"]
        in_tables = len(self._rows(CheckoutsReturned))
        in_tables += sum(call.is_alone for call in self._rows(CallsFinished))
        assert in_tables == counted["ok"]

    def _calls_agree(self, stats: PoolStats, unsent: int, *, leapt: bool) -> None:
        counted, told = Counter(stats.calls), Counter[str]()
        del counted["circuit_open"]
        for call in self._heard[CallFinished]:
            told.update({call.outcome: 1} if call.counts is None else call.counts)
        untold = counted - told
        assert told + untold == counted, f"{told} told, {counted} counted"
        lost = untold.pop("worker_lost", 0)
        assert lost <= unsent, f"{lost} calls of lost workers not told, {unsent} not sent"
        assert not untold.keys() - ({"timeout"} if leapt else set()), f"{untold} not told"
        assert self._rows(CallsFinished) == self._heard[CallFinished]

    def _workers_agree(self, stats: PoolStats) -> None:
        assert self._count(WorkerStarted) == stats.starts.get("ok", 0)
        exits = Counter(event.reason for event in self._heard[WorkerExited])
        assert exits == Counter(stats.worker_exits)
        assert self._count(WorkerLost) == stats.replacements + stats.failed_starts
