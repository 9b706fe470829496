"""Every public coroutine, cancelled at each of its suspension points: nothing is lost or left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from itertools import count
from random import Random
from typing import Any, get_args

import pytest

from pool import PoolError, WorkerPool
from pool.testing import Misbehaving, Obedient, ScriptedLauncher, ScriptedPool, Vices, run
from tests.unit.interrupted import Interrupted, When

SETTINGS: dict[str, Any] = {
    "overflow": 1,
    "spares": 1,
    "grace_period": 1.0,
    "late_reply_timeout": 2.0,
    "idle_timeout": 5.0,
    "max_restarts": 1000,
}

MOST_POINTS = 200
"""A coroutine with more suspension points than that is going round in circles."""


class Scene:
    """A pool, and what goes on beside."""

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.running: set[asyncio.Future[None]] = set()

    def beside(self, work: Awaitable[object]) -> None:
        """Let it go on by itself; it may fail."""

        async def quietly() -> None:
            with suppress(PoolError):
                await work

        self.running.add(asyncio.ensure_future(quietly()))

    async def all_ended(self) -> None:
        if self.running:
            await asyncio.wait(self.running)


async def warm(scene: Scene) -> None:
    await scene.pool.wait_ready()


async def cold(scene: Scene) -> None:
    pass


async def full(scene: Scene) -> None:
    """All workers are busy for a while, and more is asked for than can be served at once."""
    await scene.pool.wait_ready()
    for _ in range(6):
        scene.beside(scene.pool.call("sleep", {"seconds": 0.5}))
    await asyncio.sleep(0.1)


async def wait_ready(scene: Scene) -> None:
    await scene.pool.wait_ready(2, timeout=30.0)


async def call(scene: Scene) -> None:
    assert await scene.pool.call("echo", {"a": 1}, timeout=30.0) == {"a": 1}


async def call_that_times_out(scene: Scene) -> None:
    with pytest.raises((TimeoutError, PoolError)):
        await scene.pool.call("sleep", {"seconds": 0.6}, timeout=0.3)


async def call_again_and_again(scene: Scene) -> None:
    await scene.pool.call("echo", {"a": 1}, idempotent=True, attempts=20, timeout=60.0)


async def checkout(scene: Scene) -> None:
    async with scene.pool.checkout(timeout=30.0) as worker:
        await worker.call("echo", {"a": 1})
        await asyncio.gather(*(worker.call("sleep", {"seconds": 0.1}) for _ in range(3)))


async def leave_a_call_behind(scene: Scene) -> None:
    async with scene.pool.checkout() as worker:
        scene.beside(worker.call("sleep", {"seconds": 1.0}))
        await asyncio.sleep(0)


async def reload(scene: Scene) -> None:
    await scene.pool.reload()


async def drain(scene: Scene) -> None:
    await scene.pool.drain()


async def aclose(scene: Scene) -> None:
    await scene.pool.aclose()


async def terminate(scene: Scene) -> None:
    await scene.pool.terminate()


async def leave_the_block(scene: Scene) -> None:
    async with ScriptedPool(ScriptedLauncher(Obedient)) as inner:
        await inner.call("echo")


Play = Callable[[Scene], Coroutine[Any, Any, None]]

STARTS: list[Play] = [cold, warm, full]
COROUTINES: list[Play] = [
    wait_ready,
    call,
    call_that_times_out,
    call_again_and_again,
    checkout,
    leave_a_call_behind,
    reload,
    drain,
    aclose,
    terminate,
    leave_the_block,
]
ENDINGS: list[Play] = [drain, aclose, terminate]


@pytest.mark.parametrize("when", get_args(When))
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("coroutine", COROUTINES)
def test_nothing_is_left(coroutine: Play, start: Play, when: When) -> None:
    for point in count(1):
        assert point < MOST_POINTS
        interrupted = Interrupted(point, when)
        run(_play(coroutine, start, interrupted, dies=coroutine is call_again_and_again))
        if not interrupted.was_struck:
            assert point > 1 or start is not cold, "it was never suspended"
            return


async def _play(
    coroutine: Play,
    start: Play,
    interrupted: Interrupted,
    *,
    dies: bool,
) -> None:
    random = Random(1)
    launcher = ScriptedLauncher(
        lambda: _mortal(random) if dies else Obedient(start_time=0.2, call_time=0.1),
        validation_time=0.5,
        start_method="forkserver",
    )
    pool = ScriptedPool(launcher, **SETTINGS)
    scene = Scene(pool)
    await pool.open()
    await start(scene)
    try:
        await interrupted.run(coroutine(scene))
    except (asyncio.CancelledError, PoolError):
        assert interrupted.was_struck
    if coroutine not in ENDINGS:
        await _is_whole(pool)
    await pool.aclose()
    await scene.all_ended()
    launcher.assert_nothing_left()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def _mortal(random: Random) -> Misbehaving:
    return Misbehaving(random, Vices.only(dies_running=0.5), start_time=0.2, call_time=0.1)


async def _is_whole(pool: WorkerPool) -> None:
    """It serves as many at once as ever, and no slot is missing."""
    await asyncio.gather(
        *(pool.call("echo", {"i": i}, idempotent=True, attempts=50, timeout=60) for i in range(6))
    )
    await asyncio.sleep(3.0)  # abandoned calls have ended, or their workers
    stats = pool.stats()
    assert (stats.busy, stats.waiting, stats.abandoned) == (0, 0, 0)
    assert stats.inflight_calls == 0
