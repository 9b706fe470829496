"""The pool's clock, and all of its timers on one timer of the event loop.

Time in which the loop could not turn, because the whole process was stopped
or a callback blocked it, does not count: after it, nothing is overdue that had
time left before. What the workers have sent meanwhile is read first.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from time import monotonic

import anyio

BEAT = 1.0
"""Seconds between looks at the loop's clock while any alarm is set."""

SUSPENDED = 1.0
"""Seconds after which a beat that is late means that the loop could not turn."""

_FEW = 64
"""Cancelled alarms that are not worth clearing away."""


class Alarm:
    """An action at an instant, until it is cancelled or has rung."""

    __slots__ = ("_action", "_clock")

    def __init__(self, clock: Clock, action: Callable[[], None]) -> None:
        self._clock = clock
        self._action: Callable[[], None] | None = action

    @property
    def is_set(self) -> bool:
        return self._action is not None

    def cancel(self) -> None:
        """Do not ring; without effect if it has rung."""
        if self._action is not None:
            self._action = None
            self._clock.count_cancelled()

    def ring(self) -> None:
        action, self._action = self._action, None
        if action is not None:
            action()


class Clock:
    """Seconds of the loop's clock, less those in which the loop could not turn.

    All instants of the pool are of this clock. It sees what is to be left out
    while an alarm is set; an action that raises is reported by the loop as any
    callback is, and keeps no other alarm from ringing.
    """

    def __init__(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        # Read several times a call: what asyncio's own loops only pass on is asked directly.
        asyncios = type(loop).time is asyncio.BaseEventLoop.time
        self._time = monotonic if asyncios else loop.time
        self._lost = 0.0
        self._seen = self._loop.time()
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._cancelled = 0
        self._beat: asyncio.TimerHandle | None = None
        self._beat_at = 0.0

    def now(self) -> float:
        """The present instant."""
        time = self._time()
        if self._beat is not None and time > self._beat_at + SUSPENDED:
            self._lost += time - self._seen
            self._beat_at = time  # it rings late, but that is accounted for now
        self._seen = time
        return time - self._lost

    def call_at(self, when: float, action: Callable[[], None]) -> Alarm:
        """Run `action` at the instant `when`, or as soon after it as the loop can."""
        alarm = Alarm(self, action)
        heapq.heappush(self._alarms, (when, next(self._numbers), alarm))
        if self._beat is None or when + self._lost < self._beat_at:
            self._set_beat()
        return alarm

    @contextmanager
    def move_on_at(self, when: float | None) -> Iterator[anyio.CancelScope]:
        """Cancel the block at the instant `when`, as `anyio.move_on_at` does; None is never."""
        with anyio.CancelScope() as scope:
            alarm = None if when is None else self.call_at(when, scope.cancel)
            try:
                yield scope
            finally:
                if alarm is not None:
                    alarm.cancel()

    async def sleep(self, seconds: float) -> None:
        """Return in so many seconds, as soon as the loop can."""
        with self.move_on_at(self.now() + seconds):
            await anyio.sleep_forever()

    def close(self) -> None:
        """Ring none of the alarms that are set."""
        self._alarms.clear()
        self._cancelled = 0
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def count_cancelled(self) -> None:
        """An alarm was cancelled: clear those away before they are half of all."""
        self._cancelled += 1
        if self._cancelled > _FEW and 2 * self._cancelled > len(self._alarms):
            self._alarms = [entry for entry in self._alarms if entry[2].is_set]
            heapq.heapify(self._alarms)
            self._cancelled = 0

    def _set_beat(self) -> None:
        """Ring for the next alarm, or for a look at the clock before that."""
        if self._beat is not None:
            self._beat.cancel()
        first = self._on_the_loop(self._alarms[0][0])
        self._beat_at = min(first, self._loop.time() + BEAT)
        self._beat = self._loop.call_at(self._beat_at, self._ring)

    def _on_the_loop(self, when: float) -> float:
        """The loop's instant at which it is `when` here, and not a rounding error before it."""
        at = when + self._lost
        return at if at - self._lost >= when else math.nextafter(at, math.inf)

    def _ring(self) -> None:
        now = self.now()
        self._beat = None
        try:
            while self._alarms and self._alarms[0][0] <= now:
                alarm = heapq.heappop(self._alarms)[2]
                self._cancelled -= not alarm.is_set
                alarm.ring()
        finally:
            if self._alarms and self._beat is None:
                self._set_beat()


@contextmanager
def move_on_after(seconds: float | None) -> Iterator[anyio.CancelScope]:
    """Cancel the block after so many seconds by a clock of its own; None is never.

    For waits of those that know no pool.
    """
    clock = Clock()
    try:
        with clock.move_on_at(None if seconds is None else clock.now() + seconds) as scope:
            yield scope
    finally:
        clock.close()
