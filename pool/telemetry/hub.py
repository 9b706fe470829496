"""Where events meet those who listen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from pool.telemetry.events import RARE, CheckoutGranted, Event
from pool.telemetry.tables import CallsFinished, CheckoutsReturned, Rows, Table

_log = logging.getLogger("bridgepool")

Listener = Callable[[Sequence[Event]], None]
"""Is told of events in their order, some at a time. What it raises ends its listening."""

DELAY = 0.05
"""Seconds at most from a frequent event until it is told."""

MANY = 1024
"""Events that wait to be told: with more of them they are told in the next turn."""


class Hub:
    """The events of the pool of this name. Nothing is made, kept or told that nobody listens to.

    Events are told between the steps of the pool, never within one: a listener may
    use the pool. `calls` and `checkouts` are those of which there are tables, `granted`
    is whether somebody listens to that: these would cost something in each call.
    """

    def __init__(self, pool: str) -> None:
        self.calls = Rows(CallsFinished, pool, self.note, self._tell_later)
        self.checkouts = Rows(CheckoutsReturned, pool, self.note, self._tell_later)
        self.granted = False
        self._listeners: dict[Listener, frozenset[type[Event]]] = {}
        self._wanted: frozenset[type[Event]] = frozenset()
        self._waiting: list[Event] = []
        self._telling: asyncio.Handle | None = None
        self._is_soon = False

    # Listening

    def listen(self, listener: Listener, kinds: Iterable[type[Event]] = RARE) -> None:
        """Tell `listener` of events of these kinds from now on."""
        self.flush()
        self._listeners[listener] = frozenset(kinds)
        self._see_what_is_wanted()

    def leave(self, listener: Listener) -> None:
        """Tell it what has happened so far, and nothing from then on."""
        self.flush()
        self._listeners.pop(listener, None)
        self._see_what_is_wanted()

    def _see_what_is_wanted(self) -> None:
        self._wanted = frozenset().union(*self._listeners.values())
        self.granted = CheckoutGranted in self._wanted
        for rows in (self.calls, self.checkouts):
            rows.see_what_is_wanted(self._wanted)

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody listens to events of a kind."""
        return kind in self._wanted

    # Telling

    def tell(self, event: Event) -> None:
        """Something has happened that does not happen often."""
        if type(event) in self._wanted:
            self._waiting.append(event)
            self._tell_soon()

    def note(self, event: Event) -> None:
        """Something has happened that happens all the time, and that somebody listens to."""
        waiting = self._waiting
        waiting.append(event)
        if self._telling is None:
            self._tell_later()
        elif len(waiting) == MANY:
            self._tell_soon()

    def _tell_later(self) -> None:
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(DELAY, self.flush)

    def _tell_soon(self) -> None:
        if self._is_soon:
            return  # asked for anew, events in each turn would put it off for ever
        if self._telling is not None:
            self._telling.cancel()
        self._telling = asyncio.get_running_loop().call_soon(self.flush)
        self._is_soon = True

    def flush(self) -> None:
        """Tell what has happened, now."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling, self._is_soon = None, False
        events, self._waiting = self._waiting, []
        events += self._tables()
        for listener, kinds in list(self._listeners.items()):
            self._tell_one(listener, kinds, events)

    def _tables(self) -> Iterator[Table]:
        for rows in (self.calls, self.checkouts):
            table = rows.take()
            if table is not None:
                yield table

    def _tell_one(
        self, listener: Listener, kinds: frozenset[type[Event]], events: list[Event]
    ) -> None:
        # Where all that is wanted is wanted here, nothing need be sorted out.
        told = events
        if kinds != self._wanted:
            told = [event for event in events if type(event) in kinds]
        if not told:
            return
        try:
            listener(told)
        except Exception:
            _log.exception("%r failed: it is told of no more events", listener)
            self._listeners.pop(listener, None)
            self._see_what_is_wanted()
