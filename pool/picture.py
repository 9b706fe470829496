"""Takes the picture of a pool that `stats()` returns."""

from __future__ import annotations

from collections import Counter

from pool.lifecycle import WorkerState
from pool.stats import PoolStats, WorkerStats
from pool.supervisor import Supervisor
from pool.worker.worker import Worker


def take_picture(supervisor: Supervisor) -> PoolStats:
    """The pool at this moment."""
    now = supervisor.now()
    counters, ledger = supervisor.counters, supervisor.ledger
    workers = tuple(_describe(worker, now) for worker in ledger.roster)
    by_state = Counter(worker.state for worker in workers)
    counts = ledger.counts()
    oldest = ledger.lobby.oldest
    return PoolStats(
        name=supervisor.config.pool_name,
        state=ledger.life.state,
        start_method=supervisor.launcher.start_method,
        generation=supervisor.launcher.generation,
        size=ledger.limits.size,
        overflow=ledger.limits.overflow,
        total=len(workers),
        starting=by_state["starting"],
        idle=by_state["idle"],
        busy=by_state["busy"],
        spare=by_state["spare"],
        abandoned=by_state["abandoned"],
        stopping=by_state["stopping"],
        waiting=ledger.lobby.waiting,
        max_waiting=supervisor.config.max_waiting,
        oldest_waiting=0.0 if oldest is None else max(0.0, now - oldest.since),
        slots=counts.slots,
        busy_slots=counts.busy,
        inflight_calls=sum(worker.unanswered for worker in ledger.roster),
        checkouts=dict(counters.checkouts),
        calls=dict(counters.calls),
        worker_starts=counters.worker_starts,
        starts=dict(counters.starts),
        failed_starts=counters.failed_starts,
        worker_exits=dict(counters.worker_exits),
        replacements=counters.replacements,
        late_replies=counters.late_replies,
        retries=counters.retries,
        restarts_in_window=ledger.restarts.restarts_in_window(now),
        backoff=max(0.0, ledger.restarts.not_before - now),
        validations=dict(counters.validations),
        pings=dict(counters.pings),
        circuits={} if supervisor.guard is None else supervisor.guard.states(),
        leaks=counters.leaks,
        workers=workers,
    )


def _describe(worker: Worker, now: float) -> WorkerStats:
    age = now - worker.launched_at
    return WorkerStats(
        name=worker.name,
        pid=worker.pid,
        generation=worker.generation,
        state=_state(worker),
        calls=worker.finished_calls,
        age=age,
        slot=worker.seat,
    )


def _state(worker: Worker) -> str:
    if worker.state is WorkerState.STARTING:
        return "starting"
    if worker.state is not WorkerState.READY:
        return "stopping"
    if worker.has_abandoned:
        return "abandoned"
    if worker.is_spare:
        return "spare"
    return "busy" if worker.is_busy else "idle"
