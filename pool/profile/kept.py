"""The calls that are kept one by one: the last ones and the slowest. Pure."""

from __future__ import annotations

from heapq import nlargest
from operator import attrgetter
from typing import Any

from pool.profile.commands import MAX_NAME, phases_of
from pool.profile.report import Call
from pool.telemetry.events import CallFinished
from pool.telemetry.tables import CallsFinished


class Kept:
    """`most` of the last calls and as many of the slowest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._last: list[Any] = []
        """Cells of a `CallsFinished`."""
        self._slowest: list[CallFinished] = []
        self._floor = 0.0
        """Seconds that a call has to take to be among the slowest."""

    def finished(self, calls: CallsFinished) -> None:
        """Some calls have ended."""
        if not self._most:
            return
        cells = self._most * calls.width()
        self._last = (self._last + calls.cells[-cells:])[-cells:]
        durations, floor = calls.seconds, self._floor
        if max(durations) <= floor:
            return
        slow = [row for row, seconds in enumerate(durations) if seconds > floor]
        slowest = self._slowest + [calls.event(row) for row in slow]
        self._slowest = nlargest(self._most, slowest, key=attrgetter("seconds"))
        if len(self._slowest) == self._most:
            self._floor = self._slowest[-1].seconds

    def last(self, began: float) -> tuple[Call, ...]:
        """The last calls, the latest first."""
        if not self._last:
            return ()
        calls = CallsFinished.from_cells("", self._last)
        return tuple(_call(calls.event(row), began) for row in reversed(range(len(calls))))

    def slowest(self, began: float) -> tuple[Call, ...]:
        """The slowest calls, the slowest first."""
        return tuple(_call(call, began) for call in self._slowest)


def _call(call: CallFinished, began: float) -> Call:
    return Call(
        at=call.at - began,
        worker=call.worker,
        command=call.command[:MAX_NAME],
        outcome=call.outcome,
        waited=call.waited or 0.0,
        seconds=call.seconds,
        compute=call.compute,
        request_bytes=call.request_bytes,
        response_bytes=call.response_bytes,
        calls=call.calls,
        phases=phases_of(call.phases),
    )
