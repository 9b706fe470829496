"""The whole pool among children that misbehave: one story for each seed.

Callers call, read streams and maps, are cancelled, time out; a meddler reloads, resizes, loses the
template, lets the clock leap; children do all that children were ever seen to
do. Then the world behaves, and the pool has to be whole; then it is closed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import ExitStack
from random import Random
from typing import Any
from unittest.mock import patch

from pool import Breaker, BrokenWorkerError, PoolError, ProtocolError
from pool.testing import Misbehaving, ScriptedLauncher, ScriptedPool, Vices, VirtualLoop, run
from pool.testing.obedient import EVERYTHING
from tests.simulation.acts import TICK, Caller, wide
from tests.simulation.audit import Audit
from tests.simulation.invariants import WINDOW, check

CALLERS, CALLS, MEDDLINGS = 8, 4, 4

START_TIMEOUT, LATE_REPLY_TIMEOUT, GRACE_PERIOD = 80 * TICK, 32 * TICK, 16 * TICK

MEGABYTE = 1024 * 1024

SCALE = {
    # As many calls in a batch, and items under way, as there are in a story.
    "pool.dataset.batching.TARGET": 64 * TICK,
    "pool.exchange.feed.WINDOW": WINDOW,
    "pool.stream.WINDOW": WINDOW,
    "pool.exchange.exchange.WINDOW": WINDOW,
}


class Story:
    """One run. `outcomes` are told for each act as it ends, with its name; `turns` are
    counted until the pool is closed.

    `heard` counts what the children were told besides single calls.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.outcomes: dict[tuple[int, int], str] = {}
        self.meddled: Counter[str] = Counter()
        self.turns = 0
        self.exits: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        self._behaves = False
        self._capabilities = [name for name in EVERYTHING if self.random.random() < 0.7]
        self._jumped = 0.0
        self._unsent = 0
        self._most = 0
        self.launcher = ScriptedLauncher(
            self._make_script,
            seed=seed,
            start_method=self.random.choice(["spawn", "forkserver"]),
            validations=self.random.choice([[], [["no such module"]], [OSError("no disk")]]),
            validation_time=4 * TICK,
            lag=TICK,
        )
        self.pool = self._make_pool()
        # Without one as well: nobody listens to most pools.
        self._audit = Audit(self.pool) if self.random.random() < 0.8 else None

    def tell(self) -> None:
        """Raise whatever is wrong with it."""
        with ExitStack() as stack:
            for name, value in SCALE.items():
                stack.enter_context(patch(name, value))
            run(self._main(), seed=self.seed, on_turn=self._on_turn)

    def _on_turn(self) -> None:
        supervisor = self.pool._supervisor
        if supervisor is not None and not supervisor.is_closed:
            self.turns += 1
            check(supervisor, self._most)

    def _make_script(self) -> Misbehaving:
        vices = Vices.only() if self._behaves else Vices()
        script = Misbehaving(
            self.random,
            vices,
            slowness=160 * TICK,
            commands={"wide": wide},
            start_time=2 * TICK,
            call_time=TICK,
            portion=self.random.choice([None, 2]),
            capabilities=self._capabilities,
        )
        if self._behaves:
            script.launch_error = None
        return script

    def _make_pool(self) -> ScriptedPool:
        choice = self.random.choice
        size, overflow = choice([1, 2, 4]), choice([0, 2])
        self._most = size + overflow
        return ScriptedPool(
            self.launcher,
            seed=self.seed,
            size=size,
            overflow=overflow,
            concurrency=choice([1, 2, 8]),
            spares=choice([0, 1]),
            min_ready=choice([0, 1]),
            start_concurrency=choice([1, 2, 4]),
            max_waiting=choice([3, 1000]),
            idle_timeout=choice([None, 32 * TICK]),
            max_calls=choice([None, None, 2]),
            max_age=choice([None, None, 48 * TICK]),
            max_memory=choice([None, None, 50 * MEGABYTE]),
            breaker=choice([None, None, Breaker(failures=3, open_for=16 * TICK)]),
            start_timeout=START_TIMEOUT,
            late_reply_timeout=LATE_REPLY_TIMEOUT,
            grace_period=GRACE_PERIOD,
            ping_interval=48 * TICK,
            ping_timeout=16 * TICK,
        )

    async def _main(self) -> None:
        await self.pool.open()
        try:
            callers = [self._caller(number) for number in range(CALLERS)]
            await asyncio.gather(self._meddler(), *callers)
            await self._see_that_it_is_whole()
            self._see_that_counts_agree()
        finally:
            await self.random.choice([self.pool.aclose, self.pool.drain, self.pool.terminate])()
        self.launcher.assert_nothing_left()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert len(self.outcomes) == CALLERS * CALLS
        self._see_that_all_is_over()
        if self._audit is not None:
            self._audit.check(unsent=self._unsent, leapt=bool(self._jumped))

    # Callers

    async def _caller(self, caller: int) -> None:
        for number in range(CALLS):
            await asyncio.sleep(TICK * self.random.randrange(16))
            timeout = TICK * self.random.choice([4, 8, 16, 80, 320])
            args: dict[str, Any] = {"caller": caller, "number": number}
            if self.random.random() < 0.05:
                args["text"] = "x" * 100_000  # more than a pipe holds
            began, jumped = self._now(), self._jumped
            one = Caller(self.pool, self.random, args, timeout)
            outcome = await self._outcome_of(one)
            if one.act in (Caller.call, Caller.call_on_a_lease):
                leapt = self._jumped - jumped
                # A leap gives back what went by since the loop was last seen to turn, a beat at
                # most.
                late = self._now() - began - 2 * timeout - leapt - bool(leapt)
                assert late <= 0, f"{args}: {timeout} s"
            assert (caller, number) not in self.outcomes
            self.outcomes[caller, number] = f"{one.act.__name__}: {outcome}"

    async def _outcome_of(self, one: Caller) -> str:
        task = asyncio.ensure_future(one.act(one))
        if self.random.random() < 0.4:
            delay = TICK * self.random.randrange(16)
            asyncio.get_running_loop().call_later(delay, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return "cancelled"
        except PoolError as error:
            self._see_whom_it_blames(error)
            self._unsent += isinstance(error, BrokenWorkerError) and not error.request_sent
            return type(error).__name__

    def _see_whom_it_blames(self, error: PoolError) -> None:
        """Only calls of a lost worker fail with it, and nobody loses it over another's call."""
        if isinstance(error, BrokenWorkerError | ProtocolError):
            assert self.pool._supervisor is not None
            roster = self.pool._supervisor.ledger.roster
            assert error.worker not in {worker.name for worker in roster if worker.is_ready}, error
            assert "abandoned call" not in str(error), error

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # The meddler

    async def _meddler(self) -> None:
        deeds = {
            "reload": self._reload,
            "resize": self._resize,
            "wait_ready": self._wait_ready,
            "lose_template": self._lose_template,
            "jump": self._jump,
            "grow": self._grow,
        }
        for _ in range(MEDDLINGS):
            await asyncio.sleep(TICK * self.random.randrange(32))
            name = self.random.choice(list(deeds))
            self.meddled[name] += 1
            await deeds[name]()

    async def _reload(self) -> None:
        await self._perhaps_cancelled(self.pool.reload())

    async def _wait_ready(self) -> None:
        timeout = TICK * self.random.choice([4, 80])
        await self._perhaps_cancelled(self.pool.wait_ready(1, timeout=timeout))

    async def _perhaps_cancelled(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        if self.random.random() < 0.5:
            delay = TICK * self.random.randrange(48)
            asyncio.get_running_loop().call_later(delay, task.cancel)
        await asyncio.wait([task])
        error = None if task.cancelled() else task.exception()
        assert error is None or isinstance(error, PoolError), error

    async def _resize(self) -> None:
        size, overflow = self.random.choice([1, 2, 4]), self.random.choice([0, 2])
        try:
            self.pool.resize(size, overflow)
        except PoolError:
            return  # in a crash loop
        self._most = max(self._most, size + overflow)

    async def _lose_template(self) -> None:
        if self.launcher.start_method == "forkserver":
            self.launcher.lose_template()

    async def _jump(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        leap = TICK * self.random.choice([8, 160, 10_000])
        self._jumped += leap
        loop.jump(leap)

    async def _grow(self) -> None:
        for child in self.launcher.living:
            child.private_memory = 100 * MEGABYTE

    # In the end

    async def _see_that_it_is_whole(self) -> None:
        """Once children behave, as many calls as there are workers run at the same time."""
        self._behaves = True
        await asyncio.sleep(START_TIMEOUT + LATE_REPLY_TIMEOUT)
        self._see_that_it_rests()
        for _ in range(100):
            calls = [self._works(number) for number in range(self._slots())]
            if all(await asyncio.gather(*calls)):
                return
            await asyncio.sleep(1.0)
        raise AssertionError(f"never whole again: {self.pool.stats()}")

    def _slots(self) -> int:
        assert self.pool._supervisor is not None
        limits = self.pool._supervisor.ledger.limits
        return limits.size * limits.concurrency

    async def _works(self, number: int) -> bool:
        """Whether a call succeeds; those who misbehaved before may still fail some."""
        try:
            timeout = 4 * START_TIMEOUT
            result = await self.pool.call("echo", {"whole": number}, timeout=timeout)
        except PoolError:
            return False
        return bool(result == {"whole": number})

    def _see_that_it_rests(self) -> None:
        """No slot is lost, no call given up is left, no link paused, no worker starts for ever."""
        stats = self.pool.stats()
        assert self.pool._supervisor is not None
        for worker in self.pool._supervisor.ledger.roster:
            assert worker._launched is None or not worker._launched.link._is_paused  # type: ignore[attr-defined]
        assert (stats.busy, stats.waiting, stats.abandoned) == (0, 0, 0)
        starting = [worker.age for worker in stats.workers if worker.state == "starting"]
        assert max(starting, default=0.0) <= START_TIMEOUT

    def _see_that_counts_agree(self) -> None:
        stats = self.pool.stats()
        assert stats.worker_starts == sum(stats.worker_exits.values()) + stats.total
        if "batch" not in self._capabilities:
            # One call for each checkout, on some leases another after a stream.
            twice = sum("stream_on_a_lease" in told for told in self.outcomes.values())
            assert stats.checkouts.get("ok", 0) + twice >= stats.calls.get("ok", 0)
        assert stats.replacements + stats.failed_starts <= sum(stats.worker_exits.values())

    def _see_that_all_is_over(self) -> None:
        stats = self.pool.stats()
        assert (stats.total, stats.waiting, stats.inflight_calls) == (0, 0, 0)
        assert stats.worker_starts == sum(stats.worker_exits.values())
        self.exits.update(stats.worker_exits)
        for child in self.launcher.children:
            self.heard.update(control.command for control in child.controls)
            self.heard["batch"] += sum(request.batch is not None for request in child.requests)
