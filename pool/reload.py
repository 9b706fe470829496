"""`reload()`: fresh code and environment, then every worker is replaced, one at a time."""

from __future__ import annotations

from pool.errors import PoolClosed, WorkerError
from pool.supervisor import Supervisor


async def reload(supervisor: Supervisor) -> None:
    """Begin a new generation and replace the workers of all others by workers of it.

    A worker goes when its replacement is ready and its own calls are finished.
    Raises `EnvironmentInvalid`, and nothing has changed; `PoolClosed`; or the
    error of a replacement that could not start: then the rest stays as it is,
    and if it was the first, workers are started from the old generation again.
    """
    async with supervisor.reloading:
        if not supervisor.ledger.life.may_grow:
            name = supervisor.config.pool_name
            raise PoolClosed(f"{name}: the pool was closed before the reload began")
        await supervisor.renew()
        try:
            await supervisor.all_replaced()
        except WorkerError:
            if not _has_begun(supervisor):
                supervisor.launcher.revert()
            raise


def _has_begun(supervisor: Supervisor) -> bool:
    """Whether any worker of the new generation serves."""
    new = supervisor.launcher.generation
    return any(worker.is_ready and worker.generation == new for worker in supervisor.ledger.roster)
