"""A pool's events as lines of an application's structlog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from pool.telemetry.events import EVENTS, CallFinished, Event
from pool.telemetry.hub import Listener

LEVELS = ("debug", "info", "warning")
"""Of events, the frequent ones first."""


class Listened(Protocol):
    """A `WorkerPool`."""

    def listen(self, listener: Listener, kinds: Sequence[type[Event]]) -> Callable[[], None]: ...


def log_events(pool: Listened, logger: Any = None, level: str = "info") -> Callable[[], None]:
    """Log each event of `level` and above by its name, its fields beside it, at its own level.

    "debug" tells of calls, checkouts and pings, "info" of the life of workers,
    "warning" of what somebody should look at; what lies below `level` costs nothing.
    `logger` is structlog's own if not given. A line may come up to 50 ms after its
    event: `at` tells them apart, in seconds of the pool's clock; members that are
    None are left out. Returns a function that ends it. Raises `ValueError` for
    another level.
    """
    if level not in LEVELS:
        raise ValueError(f"level={level!r}: one of {', '.join(LEVELS)}")
    told = LEVELS[LEVELS.index(level) :]
    log = structlog.get_logger("bridgepool.events") if logger is None else logger

    def hear(events: Sequence[Event]) -> None:
        for event in events:
            getattr(log, event.level)(event.name, **_fields(event))

    return pool.listen(hear, [kind for kind in EVENTS if kind.level in told])


def _fields(event: Event) -> dict[str, Any]:
    fields = msgspec.structs.asdict(event)
    if isinstance(event, CallFinished) and event.phases is not None:
        fields["phases"] = msgspec.json.decode(event.phases)
    return {name: value for name, value in fields.items() if value is not None}
