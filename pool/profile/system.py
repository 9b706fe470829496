"""What is known of the workers and of the system over time, in bounded memory. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pool.profile.report import Memory, Snapshot, Worker
from pool.profile.series import Series, later
from pool.profile.trend import trend
from pool.stats import PoolStats
from pool.usage import Usage

MAX_SNAPSHOTS = 512
"""Of the system, over all of the time: 250 bytes each."""

MAX_WORKERS = 128
"""Workers whose memory is remembered. Of more, those that are gone are forgotten, in the order in
which they came; those that live never are, they are no more than the pool has."""

MAX_POINTS = 96
"""Of a worker's memory: 120 bytes each. The trend looks at all pairs of half of them."""


class Growth:
    """The memory of one worker."""

    __slots__ = ("cpu", "is_gone", "peak", "seen")

    def __init__(self) -> None:
        self.seen: Series[Memory] = Series(MAX_POINTS, later)
        self.peak = 0
        self.cpu = 0.0
        self.is_gone = False


class System:
    """Snapshots and workers."""

    def __init__(self) -> None:
        self._snapshots: Series[Snapshot] = Series(
            MAX_SNAPSHOTS, lambda earlier, later: later.with_earlier(earlier)
        )
        self._workers: dict[str, Growth] = {}
        self._cpu = 0.0
        self._own_cpu: float | None = None

    def sample(
        self,
        at: float,
        stats: PoolStats,
        own: Usage,
        workers: Mapping[str, Usage],
        *,
        calls: int,
        lag: float,
        descriptors: int,
    ) -> dict[str, int]:
        """See how things are; return the most memory each worker had since the time before."""
        if self._own_cpu is None:
            self._own_cpu = own.cpu
        finished = {worker.name: worker.calls for worker in stats.workers}
        peaks = {
            name: self._worker(at, name, used, finished.get(name, 0))
            for name, used in workers.items()
        }
        for name, growth in self._workers.items():
            growth.is_gone = name not in workers
        self._snapshots.add(
            Snapshot(
                at=at,
                starting=stats.starting,
                idle=stats.idle + stats.spare,
                busy=stats.busy,
                abandoned=stats.abandoned,
                stopping=stats.stopping,
                waiting=stats.waiting,
                inflight=stats.inflight_calls,
                calls=calls,
                resident=own.resident,
                cpu=own.cpu - self._own_cpu,
                workers_resident=sum(used.resident for used in workers.values()),
                workers_cpu=self._cpu,
                lag=lag,
                descriptors=descriptors,
            )
        )
        return peaks

    def _worker(self, at: float, name: str, used: Usage, calls: int) -> int:
        growth = self._workers.get(name)
        if growth is None:
            growth = self._workers[name] = Growth()
            growth.cpu = used.cpu
            self._forget()
        growth.seen.add(Memory(at, used.resident, calls))
        self._cpu += max(0.0, used.cpu - growth.cpu)
        growth.cpu = used.cpu
        # The peak of its life belongs to this time only if it is a new one.
        is_new = used.peak > growth.peak > 0
        growth.peak = max(growth.peak, used.peak)
        return used.peak if is_new else used.resident

    def _forget(self) -> None:
        too_many = max(0, len(self._workers) - MAX_WORKERS)
        gone = [name for name, growth in self._workers.items() if growth.is_gone]
        for name in gone[:too_many]:
            del self._workers[name]

    def snapshots(self) -> tuple[Snapshot, ...]:
        return tuple(self._snapshots.points)

    def workers(self) -> Iterator[Worker]:
        """Each worker with its memory, in the order in which they came."""
        for name, growth in self._workers.items():
            seen = tuple(growth.seen.points)
            yield Worker(name, seen, growth.peak, trend(seen))
