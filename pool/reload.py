"""`reload()`: fresh code and environment, then every worker is replaced, one at a time."""

from __future__ import annotations

import asyncio

from pool.errors import PoolClosed, WorkerError
from pool.lifecycle import WorkerState
from pool.supervisor import Supervisor
from pool.worker import Worker


async def reload(supervisor: Supervisor) -> None:
    """Begin a new generation and replace the workers of all others by workers of it.

    A worker goes when its replacement is ready and its own calls are finished.
    Raises `EnvironmentInvalid`, and nothing has changed; `PoolClosed`; or the
    error of a replacement that could not start: then the rest stays as it is,
    and if it was the first, workers are started from the old generation again.
    """
    async with supervisor.reloading:
        await supervisor.renew_environment()
        replaced = 0
        while (old := _outdated(supervisor)) is not None:
            try:
                replaced += await _replace(supervisor, old)
            except WorkerError:
                if not replaced:
                    supervisor.revert_generation()
                raise


def _outdated(supervisor: Supervisor) -> Worker | None:
    """A worker that has, or may yet turn out to have, the code of an older generation."""
    if not supervisor.may_grow:
        raise _closed(supervisor)
    for worker in supervisor.roster:
        there = worker.state in (WorkerState.STARTING, WorkerState.READY)
        if there and not worker.is_released and worker.generation != supervisor.generation:
            return worker
    return None


async def _replace(supervisor: Supervisor, old: Worker) -> bool:
    """Put another worker in the old one's place; False if it turned out to need none."""
    if old.state is WorkerState.STARTING:
        await asyncio.wait([old.settled])
        return False
    if old.has_abandoned:
        old.release("reload")  # it serves nobody as it is
        return False
    stand_in = supervisor.start_worker(stands_in=True)
    try:
        await asyncio.wait([stand_in.settled])
    except asyncio.CancelledError:
        stand_in.kill("cancel", "was not wanted any more, because the reload was cancelled")
        raise
    if not stand_in.is_ready:
        raise stand_in.error or _closed(supervisor)
    _swap(supervisor, old, stand_in)
    await asyncio.wait([old.gone])
    return True


def _swap(supervisor: Supervisor, old: Worker, stand_in: Worker) -> None:
    """In one step, so that neither too many nor too few are ever counted."""
    if not old.is_ready:
        # It was lost meanwhile, and has been replaced as any lost worker is.
        stand_in.retire("unwanted")
        return
    in_service = old.in_service
    old.release("reload")
    if in_service:
        supervisor.put_in_service(stand_in)
    else:
        supervisor.roster.admit(stand_in)


def _closed(supervisor: Supervisor) -> PoolClosed:
    return PoolClosed(f"{supervisor.config.pool_name}: the pool was closed during the reload")
