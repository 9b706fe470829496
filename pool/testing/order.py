"""The order of what is ready to run, as far as real loops leave it open."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random


class ReadyQueue:
    """Stands in for the deque of an asyncio loop's ready callbacks.

    What `call_soon` schedules runs in the order in which it was scheduled:
    asyncio promises that, and anyio's delivery of cancellation is built on it.
    What is drawn at random is when events come in between: those from outside
    that are due at the same instant come in any order, and each up to some
    turns later than another; the timers of an instant come all in one turn,
    which may be a later one too, and among themselves in any order. No order is
    drawn that could not happen on a real loop. What is late, because the clock
    has jumped, comes at once and as it was due.
    """

    def __init__(self, random: Random, now: Callable[[], float]) -> None:
        self._random = random
        self._now = now
        self._ready: deque[asyncio.Handle] = deque()
        self._events: list[asyncio.TimerHandle] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._is_taking_timers = False
        self._holds_timers: bool | None = None
        self._first_event = 0

    def __bool__(self) -> bool:
        """Whether there is anything to run, in this turn or a later one."""
        return bool(self._ready or self._events or self._timers)

    def __len__(self) -> int:
        """How many are run in this turn."""
        return len(self._ready)

    def begin_turn(self, events: list[asyncio.TimerHandle], *, timers_are_due: bool) -> None:
        """Take what happened outside; what is appended from here on is timers, until one runs."""
        self._first_event = len(self._ready)
        timers, self._timers = self._timers, []
        self._take_events(self._events + events, turn_is_empty=not (timers or timers_are_due))
        self._is_taking_timers = True
        self._holds_timers = None
        for timer in timers:
            self._take_timer(timer)

    def append(self, handle: asyncio.Handle) -> None:
        if self._is_taking_timers and isinstance(handle, asyncio.TimerHandle):
            self._take_timer(handle)
        else:
            self._ready.append(handle)

    def popleft(self) -> asyncio.Handle:
        self._is_taking_timers = False
        return self._ready.popleft()

    def clear(self) -> None:
        self._ready.clear()
        self._events.clear()
        self._timers.clear()

    def _take_events(self, events: list[asyncio.TimerHandle], *, turn_is_empty: bool) -> None:
        self._events = []
        late = [event for event in events if self._is_late(event)]
        punctual = [event for event in events if not self._is_late(event)]
        self._let_in_late(late)
        self._random.shuffle(punctual)
        for event in punctual:
            may_wait = bool(self._ready) or not turn_is_empty
            if may_wait and self._random.random() < 0.5:
                self._events.append(event)
            else:
                self._ready.append(event)

    def _take_timer(self, timer: asyncio.TimerHandle) -> None:
        if self._is_late(timer):
            self._holds_timers = False
            self._let_in_late([timer])
            return
        if self._holds_timers is None:
            self._holds_timers = bool(self._ready) and self._random.random() < 0.5
        if self._holds_timers:
            self._timers.append(timer)
        else:
            place = self._random.randint(self._first_event, len(self._ready))
            self._ready.insert(place, timer)

    def _is_late(self, handle: asyncio.TimerHandle) -> bool:
        return handle.when() < self._now()

    def _let_in_late(self, handles: list[asyncio.TimerHandle]) -> None:
        """In order, and before all that is punctual."""
        for handle in handles:
            self._ready.insert(self._first_event, handle)
            self._first_event += 1
