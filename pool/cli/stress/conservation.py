"""Conservation: whether the load's counts and the pool's tell the same story. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pool.cli.stress.measured import Measured, Run, Toll
from pool.stats import PoolStats

_REFUSALS = {
    "PoolTimeout": "timeout",
    "PoolClosed": "closed",
    "WorkerStartError": "failed",
    "EnvironmentInvalid": "failed",
}
"""Errors of checkouts that got no worker, and the outcomes that the pool counts them by."""


def differences(run: Run) -> list[str]:
    """What does not add up, in words; nothing if everything does."""
    return [
        *_operations(run.measured),
        *_checkouts(run.measured, run.closed),
        *_calls(run.measured, run.closed),
        *_workers(run.loaded, run.closed),
        *_victims(run.toll, run.closed),
        *_leftovers(run),
    ]


def _operations(measured: Measured) -> Iterator[str]:
    if measured.offered != measured.ended:
        yield f"{measured.offered} operations were offered, {measured.ended} have an outcome"


def _checkouts(measured: Measured, stats: PoolStats) -> Iterator[str]:
    """Every attempt asked for one worker; the pool made the retries that it counts itself."""
    retries = measured.retries + stats.retries
    ours = Counter(ok=measured.successful + retries - measured.unasked, shed=measured.shed)
    for error, count in measured.errors.items():
        ours[_REFUSALS.get(error, "ok")] += count
    for outcome in sorted({*ours, *stats.checkouts}):
        yield from _equal(f"checkouts {outcome!r}", ours[outcome], stats.checkouts.get(outcome, 0))


def _calls(measured: Measured, stats: PoolStats) -> Iterator[str]:
    """What the pool made again itself was lost before."""
    calls, pools = measured.calls, Counter(stats.calls)
    remote = sum(count for name, count in calls.items() if name.startswith("RemoteError"))
    yield from _equal("calls 'ok'", calls["ok"], pools["ok"])
    yield from _equal("calls 'error'", remote, pools["error"])
    yield from _equal("calls 'cancelled'", calls["CancelledError"], pools["cancelled"])
    yield from _equal("calls 'timeout'", calls["CallTimeout"], pools["timeout"])
    lost = calls["BrokenWorkerError"] + calls["ProtocolError"] + stats.retries
    yield from _equal(
        "calls that lost their worker", lost, pools["worker_lost"] + pools["protocol"]
    )


def _workers(loaded: PoolStats, closed: PoolStats) -> Iterator[str]:
    for when, stats in (("after the load", loaded), ("after closing", closed)):
        known = sum(stats.worker_exits.values()) + stats.total
        if stats.worker_starts != known:
            yield f"{when}, {stats.worker_starts} workers were started, {known} are known of"
    left = {"workers": closed.total, "waiting": closed.waiting, "calls": closed.inflight_calls}
    for what, count in left.items():
        if count:
            yield f"{count} {what} left in the pool that was closed"


def _victims(toll: Toll, stats: PoolStats) -> Iterator[str]:
    for kind, count in toll.survivors.items():
        yield f"{count} of {toll.struck[kind]} workers survived {kind!r}"
    exits = sum(stats.worker_exits.values())
    if toll.ended.total() > exits:
        yield f"{toll.ended.total()} struck workers ended, the pool counts {exits} exits"


def _leftovers(run: Run) -> Iterator[str]:
    for what in ("descriptors", "tasks"):
        before, after = getattr(run.before, what), getattr(run.after, what)
        if before != after:
            yield f"{before} {what} before the pool was opened, {after} after it was closed"


def _equal(what: str, ours: int, pools: int) -> Iterator[str]:
    if ours != pools:
        yield f"{what}: {ours} by the load's count, {pools} by the pool's"
