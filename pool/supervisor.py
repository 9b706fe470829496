"""Keeps the set of workers: starts, replaces, dismisses, drains.

All decisions are made in synchronous steps, `rebalance` above all: it is
called after whatever could change the need for workers, looks at the counts
as they are now, and starts what is missing. Nothing is planned ahead, so
nothing planned can become stale.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any

import anyio
from anyio.abc import TaskGroup

from pool.capacity import Counts, Limits, promotions, starts, wanted
from pool.config import PoolConfig
from pool.desk import Desk
from pool.environment import Environment
from pool.errors import EnvironmentInvalid, PoolClosed, WorkerError, WorkerStartError
from pool.idle import IdleWatch
from pool.launch import Launcher
from pool.lifecycle import POOL, PoolEvent, PoolState, WorkerState, advance
from pool.restarts import EARLY_LOSS, RestartPolicy
from pool.roster import Roster
from pool.sessions import SESSION_TTL, SessionStore
from pool.shutdown import Shutdown
from pool.slots import Slot
from pool.stats import Counters
from pool.timers import Timers
from pool.worker import Worker

_log = logging.getLogger("bridgepool")

ENVIRONMENT_RETRY = 5.0
"""Seconds between validations that only `min_ready` asks for; a checkout asks at once."""


class Supervisor:
    """Owns the workers and the task group they live in. `run` is one task from open to closed."""

    def __init__(self, config: PoolConfig, launcher: Launcher, random: Random) -> None:
        self.config = config
        self.state = PoolState.NEW
        self.desk = Desk(config.max_waiting, self._slot_idles, self._slots_changed)
        self.roster = Roster()
        self.counters = Counters()
        self.sessions = SessionStore()
        self.environment = Environment(launcher.validate)
        self.restarts = RestartPolicy(config.max_restarts, config.restart_window, random)
        self._launcher = launcher
        self._limits = Limits(config.size, config.overflow, config.starts_at_once)
        self.loop = asyncio.get_running_loop()
        self._decided: asyncio.Queue[tuple[Callable[[], Coroutine[Any, Any, None]], str]] = (
            asyncio.Queue()
        )
        self.reloading = asyncio.Lock()
        self._keep = 0
        self._names = 0
        self._timers = Timers()
        self._idle = IdleWatch(config, self._timers, lambda: self.counts().serving, self._dismiss)
        self._shutdown = Shutdown(self._is_out_of_work)

    # Life

    def open(self) -> None:
        """Take work from here on; whoever calls it runs `run` too."""
        self.state = advance(POOL, self.state, PoolEvent.OPEN)

    async def run(self) -> None:
        """Supervise until told to close; then drain, end every worker and return."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._start_tasks, tasks)
                tasks.start_soon(self._every, SESSION_TTL / 60, self._expire_sessions)
                if self.config.ping_interval is not None:
                    tasks.start_soon(self._every, self.config.ping_interval, self._ping_idle)
                self.rebalance()
                await self._shutdown.work_done.wait()
                self._end_workers()
                await self._shutdown.all_gone.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._shut_door()
            with anyio.CancelScope(shield=True):
                await self._launcher.aclose()

    async def _start_tasks(self, tasks: TaskGroup) -> None:
        """Start what was decided: a task group cannot be asked from a callback of the loop."""
        while True:
            work, name = await self._decided.get()
            tasks.start_soon(work, name=name)

    def _end_workers(self) -> None:
        for worker in self.roster:
            if worker.is_idle and not self._shutdown.is_hurried:
                worker.retire("drain")
            else:
                worker.kill("drain", "was killed because the pool closes")
        self._check_all_gone()

    def _kill_workers(self) -> None:
        for worker in self.roster:
            worker.kill("drain", "was killed because the pool was terminated")

    def _shut_door(self) -> None:
        self._timers.cancel_all()
        if self.state is not PoolState.DRAINING:
            self.state = advance(POOL, self.state, PoolEvent.DRAIN)
        self.state = advance(POOL, self.state, PoolEvent.CLOSE)
        self.desk.fail_all(lambda: PoolClosed(f"{self.config.pool_name}: the pool was closed"))

    # Closing

    def drain(self) -> None:
        """Refuse new work; what waits and runs is finished, then the workers are ended."""
        if self.state is not PoolState.DRAINING:
            self.state = advance(POOL, self.state, PoolEvent.DRAIN)
        self._shutdown.begin()
        self.rebalance()

    def close(self) -> None:
        """`drain`, but nobody waits any longer, and leases end after the grace period."""
        self.drain()
        self.desk.fail_all(lambda: PoolClosed(f"{self.config.pool_name}: the pool is closing"))
        self._shutdown.shut_queue()
        if "grace" not in self._timers:
            ends = self.now() + self.config.grace_period
            self._timers.set("grace", ends, self._shutdown.hurry)

    def terminate(self) -> None:
        """Kill every worker now."""
        self.drain()
        self.desk.fail_all(lambda: PoolClosed(f"{self.config.pool_name}: the pool was terminated"))
        self._shutdown.hurry()
        self._kill_workers()

    def _check_all_gone(self) -> None:
        if self._shutdown.work_done.is_set() and not self.roster:
            self._shutdown.all_gone.set()

    # Decisions

    def now(self) -> float:
        """The loop's clock, which all instants here are of."""
        return self.loop.time()

    def rebalance(self) -> None:
        """Start the workers that are missing now, as far as limits and back-off allow."""
        if self.state in (PoolState.NEW, PoolState.CLOSED) or self._shutdown.work_done.is_set():
            return
        counts = self.counts()
        if counts.spare:
            self._place_spares(counts)
            counts = self.counts()
        missing = starts(self._limits, counts)
        if missing and self._may_start_now():
            verdict = self.restarts.verdict(self.now())
            if verdict.at_most is not None:
                missing = min(missing, verdict.at_most - counts.starting)
            for _ in range(missing):
                self.start_worker()

    def _place_spares(self, counts: Counts) -> None:
        """Put spares where workers are missing; those that nobody wants go."""
        needed = promotions(self._limits, counts)
        for spare in self.roster.spares()[:needed]:
            self.put_in_service(spare)
        for spare in self.roster.spares()[self.counts().reserve :]:
            spare.retire("unwanted")

    def _may_start_now(self) -> bool:
        """Whether the environment is known to be fit and no back-off is pending."""
        if not self.environment.is_valid:
            self._validate_if_needed()
            return False
        not_before = self.restarts.verdict(self.now()).not_before
        if self.now() < not_before:
            self._timers.set("back-off", not_before, self._end_back_off)
            return False
        return True

    def _end_back_off(self) -> None:
        self.probe_if_due()
        self.rebalance()

    @property
    def start_method(self) -> str:
        """How workers are started in fact."""
        return self._launcher.start_method

    @property
    def generation(self) -> int:
        """Of the code and environment that a worker would be launched with now."""
        return self._launcher.generation

    @property
    def is_closed(self) -> bool:
        return self.state is PoolState.CLOSED

    @property
    def may_grow(self) -> bool:
        """Whether workers may still be added: neither draining nor closed."""
        return self.state in (PoolState.OPEN, PoolState.FAILED)

    @property
    def takes_work(self) -> bool:
        return self.state is PoolState.OPEN

    def probe_if_due(self) -> None:
        """End the refusal of work after the cool-down, for one start to show how things are."""
        if self.state is not PoolState.FAILED:
            return
        not_before = self.restarts.verdict(self.now()).not_before
        if self.now() >= not_before:
            self.state = advance(POOL, self.state, PoolEvent.PROBE)

    @property
    def serves_the_queue(self) -> bool:
        """Whether a call that was admitted once may wait (again)."""
        draining = self.state is PoolState.DRAINING and not self._shutdown.queue_is_shut
        return self.takes_work or (draining and not self._shutdown.work_done.is_set())

    async def pause_before_retry(self, seconds: float) -> None:
        """Wait before a lost call is made again; meanwhile it counts as work to be done."""
        self.counters.retries += 1
        await self._shutdown.pause_before_retry(seconds)

    def has_room(self) -> bool:
        """Whether one more may wait because a worker can still be started for somebody."""
        possible = self.config.size + self.config.overflow - self.counts().serving
        return self.desk.waiting < (self.config.max_waiting or 0) + possible

    async def wait_ready(self, count: int) -> None:
        """Warm up `count` workers; raises what keeps them from being ready."""
        if self.counts().serving < count:
            await self.desk.wait_ready(count)

    def counts(self) -> Counts:
        """What there is, as the decision about starts sees it."""
        if self._shutdown.has_begun:
            return self.roster.counts(self.desk.waiting, keep=0, floor=0, spares=0)
        floor = max(self.config.min_ready, self.desk.ready_wanted)
        return self.roster.counts(self.desk.waiting, self._keep, floor, self.config.spares)

    def start_worker(self, *, stands_in: bool = False) -> Worker:
        """Launch a worker; one that stands in counts for nothing before it is put in service."""
        self._names += 1
        name = f"{self.config.pool_name}-{self._names}"
        worker = Worker(name, self.config, self._launcher, self.sessions, self)
        self.roster.add(worker, stands_in=stands_in)
        self.counters.worker_starts += 1
        self._decided.put_nowait((partial(self._supervise, worker), name))
        return worker

    def put_in_service(self, worker: Worker) -> None:
        """Lend its slots from here on."""
        self.roster.admit(worker)
        worker.in_service = True
        for slot in worker.slots:
            self.desk.offer(slot)
        serving = self.counts().serving
        self._keep = max(self._keep, min(self.config.size, serving))
        self.desk.tell_serving(serving)

    async def _supervise(self, worker: Worker) -> None:
        try:
            await worker.run()
        finally:
            self.roster.remove(worker)
            self._worker_exited(worker)
            self._check_all_gone()

    # Environment

    def _validate_if_needed(self) -> None:
        if "environment" in self._timers and not self.desk.is_asked:
            return
        if self.environment.claim():
            self._decided.put_nowait((self._validate, "validate the environment"))

    async def _validate(self) -> None:
        problems = await self.environment.validate()
        self._count_validation(problems)
        if not problems:
            self._timers.cancel("environment")
            self.rebalance()
            return
        _log.warning("%s", self._unfit(problems), extra={"pool": self.config.pool_name})
        self._timers.set("environment", self.now() + ENVIRONMENT_RETRY, self.rebalance)
        self.desk.fail_all(lambda: self._unfit(problems))

    async def renew_environment(self) -> None:
        """Validate again, which begins a new generation.

        Raises `EnvironmentInvalid` if it fails; the present generation stays.
        """
        problems = await self.environment.renew()
        self._count_validation(problems)
        if problems:
            raise self._unfit(problems)
        self.restarts.succeeded()
        if self.state is PoolState.FAILED:
            self.state = advance(POOL, self.state, PoolEvent.PROBE)
        self.rebalance()

    def revert_generation(self) -> None:
        """Start workers from the generation before, if that is still possible."""
        self._launcher.revert()

    def _count_validation(self, problems: tuple[str, ...]) -> None:
        self.counters.validations["failed" if problems else "ok"] += 1

    def _unfit(self, problems: tuple[str, ...]) -> EnvironmentInvalid:
        reasons = "; ".join(problems)
        text = f"{self.config.pool_name}: the environment cannot run the bridge: {reasons}"
        return EnvironmentInvalid(text, problems)

    # What workers report (the Owner protocol)

    def worker_ready(self, worker: Worker) -> None:
        _log.info("%s: ready (pid %s)", worker.name, worker.pid)
        if self.restarts.last_cause is not None:
            proved_at = self.now() + EARLY_LOSS
            self._timers.set("proved", proved_at, lambda: self._outlived_its_start(worker))
        if not self.roster.stands_in(worker) and not self._is_surplus():
            self.put_in_service(worker)
        self.rebalance()

    def _is_surplus(self) -> bool:
        """Whether a worker that is ready now is to be held back, as a spare."""
        counts = self.counts()
        enough = counts.serving >= wanted(self._limits, counts)
        return enough and counts.spare <= counts.reserve

    def worker_leaves(self, worker: Worker) -> None:
        self.desk.withdraw(worker)
        if worker.state is WorkerState.KILLING and worker.finished_calls:
            # It did start well, so nothing about its end can forbid another start.
            self.rebalance()

    def call_finished(self, worker: Worker) -> None:
        if worker.finished_calls == 1:
            self.restarts.succeeded()

    def slot_abandoned(self, slot: Slot[Worker]) -> None:
        ready = (worker for worker in self.roster if worker.is_ready)
        abandoned = [worker for worker in ready if worker.has_abandoned]
        for worker in abandoned[: -self.config.size]:
            worker.kill("timeout", "was one of too many that had not ended abandoned calls")
        self._shutdown.look()
        self.rebalance()

    def late_reply(self, slot: Slot[Worker] | None) -> None:
        self.counters.late_replies += 1
        if slot is not None:
            self.desk.offer(slot)
            self.desk.tell_serving(self.counts().serving)
            self.rebalance()

    def ping_answered(self, worker: Worker) -> None:
        self.counters.pings["ok"] += 1
        _log.debug("%s: answered a ping", worker.name)

    def _outlived_its_start(self, worker: Worker) -> None:
        if worker.is_ready:
            self.restarts.succeeded()
            self.rebalance()

    def _worker_exited(self, worker: Worker) -> None:
        """A worker is gone for good: learn from it, then see what is missing."""
        self.counters.worker_exits[worker.reason] += 1
        if worker.error is not None:
            self._learn_from_loss(worker, worker.error)
        else:
            _log.info("%s: exited (%s)", worker.name, worker.reason)
        self._shutdown.look()
        self.rebalance()

    def _learn_from_loss(self, worker: Worker, error: WorkerError) -> None:
        _log.warning("%s", error, extra={"pool": self.config.pool_name, "worker": worker.name})
        now = self.now()
        if worker.failed_to_start(now, EARLY_LOSS):
            self.counters.failed_starts += 1
            self.restarts.failed(now, error)
            self._fail_if_looping()
        else:
            self.counters.replacements += 1
            self.restarts.succeeded()

    def _fail_if_looping(self) -> None:
        """Refuse work, in a crash loop, as soon as no worker is left that could do it."""
        counts = self.counts()
        if not self.restarts.in_crash_loop or counts.serving or counts.starting:
            return
        if self.state is PoolState.OPEN:
            self.state = advance(POOL, self.state, PoolEvent.CRASH_LOOP)
            _log.warning("%s: crash loop, work is refused", self.config.pool_name)
        self.desk.fail_all(self.refusal)

    def refusal(self) -> WorkerStartError:
        """Why work is refused in a crash loop."""
        return self.restarts.refusal(self.config.pool_name, self.now())

    # Slots

    def _slot_idles(self, worker: Worker) -> None:
        if self.config.idle_timeout is not None or len(self.roster) > self.config.size:
            self._idle.watch(worker)

    def _slots_changed(self) -> None:
        self._shutdown.look()
        if self.desk.is_asked:
            self.rebalance()

    def _dismiss(self, worker: Worker) -> None:
        worker.retire("idle")
        self._keep = min(self._keep, self.counts().serving)
        self.rebalance()

    def _is_out_of_work(self) -> bool:
        return not self.desk.waiting and not any(w.is_busy for w in self.roster)

    # Chores

    async def _every(self, seconds: float, chore: Callable[[], None]) -> None:
        while True:
            await anyio.sleep(seconds)
            chore()

    def _ping_idle(self) -> None:
        for worker in self.roster:
            if worker.is_idle and not worker.unanswered:
                worker.ping()

    def _expire_sessions(self) -> None:
        self.sessions.expire(self.now())
