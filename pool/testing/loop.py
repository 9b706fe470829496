"""An event loop whose time is virtual."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from random import Random
from typing import Any, TypeVar, TypeVarTuple, cast

from pool.testing.order import ReadyQueue
from pool.testing.selector import NothingToSelect
from pool.testing.stuck import Bounds, Deadlock, Livelock, who_waits
from pool.testing.timer import Timer

START = 1024.0
"""The instant at which virtual time starts. Not 0, which code may take for "never"."""

RESOLUTION = 1e-9
"""Seconds within which timers count as due together, as on Linux's monotonic clock."""

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that never sleeps: when nothing is ready, time jumps to the next timer.

    With a `seed` the order in which events come in is drawn from it (see
    `ReadyQueue`); without one the order is asyncio's. `on_turn` is called
    between turns, when no callback and no task runs; what it raises ends the
    run, and it is not called again.

    If nothing is ready and nothing is due, ever, running it raises `Deadlock`.
    What a callback raises, which asyncio would only log, is raised too, unless
    there is an exception handler.
    Descriptors and threads are of real time, so there are none: `add_reader`
    and `run_in_executor` raise `RuntimeError`. One loop belongs to one thread.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[Timer]
    _clock_resolution: float

    def __init__(
        self, seed: int | None = None, on_turn: Callable[[], object] | None = None
    ) -> None:
        self._now = START
        self._outside: list[Timer] = []
        self._numbers = itertools.count()
        self._on_turn = on_turn
        self._bounds = Bounds(math.inf, math.inf, START)
        self._order: ReadyQueue | None = None
        self._failure: BaseException | None = None
        super().__init__(NothingToSelect(self._begin_turn))
        self._clock_resolution = RESOLUTION
        if seed is not None:
            self._order = ReadyQueue(Random(seed), self.time)
            self._ready = cast("deque[asyncio.Handle]", self._order)

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        """Let the clock leap ahead, as if the process had been stopped for so long.

        All that became due meanwhile comes late, in one turn: first what
        happened outside, then the timers, each in the order in which it was due.
        """
        if seconds < 0:
            raise ValueError(f"jump({seconds!r}): time does not go back")
        self._set_time(self._now + seconds)

    def outside_at(
        self, when: float, action: Callable[[*_Ts], object], *args: *_Ts
    ) -> asyncio.TimerHandle:
        """Have something happen in the world outside: `action(*args)` at the instant `when`.

        Like what descriptors have to tell, it comes before the timers of its
        turn, and in what order with them is up to the seed if it is due at the
        very same instant.
        """
        timer = Timer(when, next(self._numbers), action, args, self, contextvars.Context())
        heapq.heappush(self._outside, timer)
        return timer

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's, but timers of one instant ring in order, as with a clock that moves."""
        if self.is_closed():
            raise RuntimeError("the loop is closed")
        timer = Timer(when, next(self._numbers), callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    def bound(self, seconds: float, turns: float) -> None:
        """Raise `Livelock` if more time or more turns pass from now on.

        So much again is then allowed for cleaning up.
        """
        self._bounds = Bounds(seconds, turns, self._now)

    # Turns

    def _begin_turn(self, timeout: float | None) -> None:
        """Stand in for a look at descriptors, for up to `timeout` seconds; 0 is for no time."""
        self.raise_failure()
        if self._on_turn is not None:
            self._call_hook(self._on_turn)
        if timeout != 0 and not self._ready:
            self._set_time(max(self._now, self._next_instant()))
        excess = self._bounds.count_turn(self._now)
        if excess is not None:
            self._bounds.renew(self._now)
            waiting = who_waits(asyncio.all_tasks(self))
            raise Livelock(f"more than {excess} have passed, and there wait:\n{waiting}")
        self._let_in()

    def _call_hook(self, hook: Callable[[], object]) -> None:
        try:
            hook()
        except BaseException:
            self._on_turn = None
            raise

    def _next_instant(self) -> float:
        heads = [*self._scheduled[:1], *self._outside[:1]]
        if not heads:
            waiting = who_waits(asyncio.all_tasks(self))
            raise Deadlock(f"nothing will ever happen any more, and there wait:\n{waiting}")
        return min(heads).when()

    def _set_time(self, now: float) -> None:
        self._now = now
        # A clock so far ahead that floats are coarser than this would never reach a timer.
        self._clock_resolution = max(RESOLUTION, math.ulp(now))

    def _let_in(self) -> None:
        """Have what happens outside now run in this turn, or, with a seed, in one soon."""
        end = self._now + self._clock_resolution
        events: list[asyncio.TimerHandle] = []
        while self._outside and (self._outside[0].when() < end or self._outside[0].cancelled()):
            events.append(heapq.heappop(self._outside))
        if self._order is not None:
            timers_are_due = bool(self._scheduled) and self._scheduled[0].when() < end
            self._order.begin_turn(events, timers_are_due=timers_are_due)
        else:
            self._ready.extend(events)

    # Errors of callbacks

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An exception in a callback, which nobody could catch, ends the run."""
        if "handle" in context and self.get_exception_handler() is None:
            self._failure = self._failure or context["exception"]
        else:
            super().call_exception_handler(context)

    def raise_failure(self) -> None:
        """Raise what a callback raised, if that is still to be done."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    # What takes real time

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        raise RuntimeError("a thread takes real time, which does not pass on a virtual loop")
