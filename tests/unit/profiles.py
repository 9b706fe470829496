"""Calls and reports for the tests of profiles, without a pool."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from pool.lifecycle import PoolState
from pool.profile import Report, as_html
from pool.profile.book import Book
from pool.profile.thresholds import Thresholds
from pool.stats import PoolStats, WorkerStats
from pool.telemetry.events import CallFinished, Event, WorkerStarted
from pool.usage import Usage
from tests.unit.tables import in_tables

BEGAN = "2026-01-01T00:00:00+00:00"
MB = 1024 * 1024


def call(command: str = "work", seconds: float = 0.01, **fields: Any) -> CallFinished:
    given = {"at": 10.0, "worker": "w-1", "outcome": "ok", "waited": 0.0, "compute": None}
    sizes = {"request_bytes": 100, "response_bytes": 200}
    if isinstance(fields.get("phases"), dict):
        fields["phases"] = Raw(msgspec.json.encode(fields["phases"]))
    return CallFinished(pool="p", command=command, seconds=seconds, **{**given, **sizes, **fields})


def start(worker: str = "w-1", ready: float = 0.5, at: float = 1.0) -> WorkerStarted:
    return WorkerStarted("p", at, worker, 1, 0, 1, 0.1, 0.0, 0.0, ready)


def stats(calls: int = 0, workers: Iterable[str] = ("w-1",), **fields: int) -> PoolStats:
    names = tuple(workers)
    counts = dict.fromkeys(PoolStats.__dataclass_fields__, 0) | {"total": len(names)} | fields
    mappings = ("checkouts", "calls", "worker_exits", "validations", "pings", "circuits")
    return PoolStats(
        **{
            **counts,
            **{name: {} for name in mappings},
            "name": "p",
            "state": PoolState.OPEN,
            "start_method": "spawn",
            "workers": tuple(WorkerStats(name, 1, 1, "idle", calls, 1.0, 0) for name in names),
        }  # type: ignore[arg-type]
    )


class TabledBook(Book):
    """Is told of single calls as well."""

    def hear(self, events: Iterable[Event]) -> None:
        super().hear(in_tables(events))


def book(keep: int = 10, first_ready: float = 0.0) -> Book:
    return TabledBook(0.0, keep, first_ready)


def sample(book: Book, at: float, resident: float, calls: int = 0, cpu: float = 0.0) -> None:
    used = Usage(int(resident), int(resident), cpu)
    book.sample(at, stats(calls), Usage(50 * MB, 50 * MB, cpu), {"w-1": used}, 10)


def report(book: Book, thresholds: Thresholds | None = None) -> Report:
    return book.report(20.0, "p", BEGAN, thresholds)


def report_of(*calls: CallFinished) -> Report:
    told = book()
    told.hear(calls)
    return report(told)


def open_fonts() -> None:
    """Draw a plot: from the first one on matplotlib keeps the files of its fonts open."""
    as_html(report_of(call()))
