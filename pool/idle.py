"""Which idle workers may leave, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pool.config import PoolConfig
from pool.timers import Timers
from pool.worker import Worker

OVERFLOW_LINGER = 30.0
"""Seconds an idle worker above `size` stays, unless `idle_timeout` says otherwise."""


class IdleWatch:
    """Dismisses workers that have idled for their time, never below `min_ready`.

    `serving` counts the workers in service; `dismiss` retires one, if it can.
    """

    def __init__(
        self,
        config: PoolConfig,
        timers: Timers,
        serving: Callable[[], int],
        dismiss: Callable[[Worker], None],
    ) -> None:
        self._config = config
        self._timers = timers
        self._serving = serving
        self._dismiss = dismiss
        self._loop = asyncio.get_running_loop()

    def watch(self, worker: Worker) -> None:
        """The worker idles from now on; one timer looks after it, however often it is lent."""
        linger = self._linger()
        if linger is not None and _timer_name(worker) not in self._timers:
            self._look_at(worker, self._loop.time() + linger)

    def _look_at(self, worker: Worker, when: float) -> None:
        self._timers.set(_timer_name(worker), when, lambda: self._look(worker))

    def _look(self, worker: Worker) -> None:
        linger = self._linger()
        if linger is None or not worker.is_idle:
            return
        due = worker.last_active + linger
        if self._loop.time() < due:
            self._look_at(worker, due)
        elif self._serving() > self._config.min_ready:
            self._dismiss(worker)

    def _linger(self) -> float | None:
        """Seconds that an idle worker may stay as things are; None is for ever."""
        if self._config.idle_timeout is not None:
            return self._config.idle_timeout
        return OVERFLOW_LINGER if self._serving() > self._config.size else None


def _timer_name(worker: Worker) -> str:
    return f"idle {worker.name}"
