"""The environment is validated, and workers are replaced by those of a fresh one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pool.environment import problems_of, unfit
from pool.errors import PoolClosed, WorkerError
from pool.launch import Launcher
from pool.ledger import Ledger
from pool.telemetry.chronicle import Chronicle
from pool.worker.worker import Worker

_log = logging.getLogger("bridgepool")


class Renewal:
    """Of one pool; `problems` are those of the last validation, but for a reload's."""

    def __init__(
        self,
        pool: str,
        launcher: Launcher,
        ledger: Ledger[Worker],
        chronicle: Chronicle,
        now: Callable[[], float],
        settle: Callable[[], None],
    ) -> None:
        self.problems: tuple[str, ...] = ()
        self._pool = pool
        self._launcher = launcher
        self._ledger = ledger
        self._chronicle = chronicle
        self._now = now
        self._settle = settle
        self._one_at_a_time = asyncio.Lock()
        self._replaced: asyncio.Future[None] | None = None

    async def validate(self) -> None:
        """Ask once for all who wait for a worker; never raises."""
        problems = self.problems = await self._find_problems()
        if problems:
            _log.warning("%s", unfit(self._pool, problems), extra={"pool": self._pool})
            self._ledger.validation_failed(lambda: unfit(self._pool, problems), self._now())
        else:
            self._ledger.validated()
        self._settle()

    async def _find_problems(self) -> tuple[str, ...]:
        began = self._now()
        problems = await problems_of(self._launcher)
        self._chronicle.validated(problems, self._now() - began)
        return problems

    # Reloads

    async def reload(self) -> None:
        """Begin a new generation and replace the workers of all others by workers of it.

        A worker goes when its replacement is ready and its own calls are finished.
        Raises `EnvironmentInvalid`, and nothing has changed; `PoolClosed`; or the
        error of a replacement that could not start: then the rest stays as it is,
        and if it was the first, workers are started from the old generation again.
        """
        async with self._one_at_a_time:
            if not self._ledger.life.may_grow:
                raise PoolClosed(f"{self._pool}: the pool was closed before the reload began")
            await self._begin_generation()
            try:
                await self._all_replaced()
            except WorkerError:
                if not self._has_begun():
                    self._launcher.revert()
                raise

    async def _begin_generation(self) -> None:
        """Validate again; workers of older generations become due."""
        problems = await self._find_problems()
        if problems:
            raise unfit(self._pool, problems)
        self.problems = ()
        self._ledger.renewed(outdated=lambda w: w.generation != self._launcher.generation)
        self._settle()

    async def _all_replaced(self) -> None:
        """Wait until all who were due are gone; those that are due stay if that fails."""
        self._replaced = asyncio.get_running_loop().create_future()
        self.look()
        try:
            await self._replaced
        finally:
            self._replaced = None
            self._ledger.pardon("reload")
            self._settle()

    def _has_begun(self) -> bool:
        """Whether any worker of the new generation serves."""
        new = self._launcher.generation
        return any(worker.is_ready and worker.generation == new for worker in self._ledger.roster)

    def look(self) -> None:
        """End the wait for a reload if it is over, one way or the other."""
        if self._replaced is None or self._replaced.done():
            return
        if not any(worker.due == "reload" for worker in self._ledger.roster):
            self._replaced.set_result(None)
        elif not self._ledger.life.may_grow:
            text = f"{self._pool}: the pool was closed during the reload"
            self._replaced.set_exception(PoolClosed(text))

    def worker_exited(self, worker: Worker) -> None:
        """One is gone: if it could not start in the place of another, the reload is over."""
        if self._replaced is None or self._replaced.done():
            return
        if worker.stands_in and worker.error is not None:
            self._replaced.set_exception(worker.error)
