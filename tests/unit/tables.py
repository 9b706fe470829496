"""Events in tables, as the pool tells of them to those who count."""

from __future__ import annotations

from collections.abc import Iterable

from pool.telemetry.events import Event
from pool.telemetry.tables import TABLES


def in_tables(events: Iterable[Event]) -> list[Event]:
    """These events; those of which there are tables in one of their kind, after the others."""
    told = list(events)
    for table in TABLES:
        rows = [event for event in told if type(event) is table.of]
        told = [event for event in told if type(event) is not table.of]
        told += [table.from_events(rows)] if rows else []
    return told
