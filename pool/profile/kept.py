"""The calls that are kept one by one: the last ones and the slowest. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import nlargest

from pool.profile.commands import MAX_NAME, phases_of
from pool.profile.report import Call
from pool.telemetry.events import CallFinished


def _seconds(call: CallFinished) -> float:
    return call.seconds


class Kept:
    """`most` of the last calls and as many of the slowest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._last: deque[CallFinished] = deque(maxlen=most)
        self._slowest: list[CallFinished] = []
        self._floor = 0.0
        """Seconds that a call has to take to be among the slowest."""

    def finished(self, calls: Sequence[CallFinished]) -> None:
        """Some calls have ended."""
        if not self._most:
            return
        self._last.extend(calls[-self._most :])
        floor = self._floor
        slow = [call for call in calls if call.seconds > floor]
        if not slow:
            return
        self._slowest = nlargest(self._most, self._slowest + slow, key=_seconds)
        if len(self._slowest) == self._most:
            self._floor = self._slowest[-1].seconds

    def last(self, began: float) -> tuple[Call, ...]:
        """The last calls, the latest first."""
        return tuple(_call(call, began) for call in reversed(self._last))

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
