"""Workers forked from a template: what they share, what they must not, and what may go wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from pool import (
    BrokenWorkerError,
    EnvironmentInvalid,
    PoolClosed,
    PoolTimeout,
    WorkerPool,
)
from pool.launch import template as template_module
from tests.contract.pools import until
from tests.processes import children, offspring

SHOWS = "tests.contract.template_bridges:shows"


def make_pool(bridge: str = SHOWS, **options: Any) -> WorkerPool:
    # numpy, which the bridge imports, would start a thread for each processor.
    env = {"OPENBLAS_NUM_THREADS": "1"}
    return WorkerPool(bridge, **{"size": 2, "grace_period": 2.0, "env": env, **options})


async def ask_each(pool: WorkerPool, count: int, command: str) -> list[Any]:
    """The same question to `count` different workers."""
    leases = [pool.checkout() for _ in range(count)]
    workers = [await lease.__aenter__() for lease in leases]
    try:
        return [await worker.call(command) for worker in workers]
    finally:
        for lease in leases:
            await lease.__aexit__(None, None, None)


# What is done once, and what by each


async def test_the_template_imports_and_preloads_once_and_each_worker_starts() -> None:
    async with make_pool(size=3) as pool:
        told = await ask_each(pool, 3, "loaded")
        pids = {worker.pid for worker in pool.stats().workers}
        (template,) = children()
    assert {(t["imported"], t["preloaded"], t["preloads"]) for t in told} == {
        (template, template, 1)
    }
    assert {t["started"] for t in told} == pids
    assert pool.stats().validations == {"ok": 1}


async def test_each_worker_is_a_process_of_its_own() -> None:
    async with make_pool(name="a-pool-with-a-long-name") as pool:
        told = await pool.call("group")
        (template,) = children()
    assert told["session"] == told["group"] == told["pid"]
    assert told["ppid"] == template
    assert told["comm"] == "th-a-long-name-1"[-15:]
    assert told["threads"] == ["MainThread"]
    assert told["sigterm"]


async def test_a_worker_has_its_own_descriptors_and_no_others() -> None:
    async with make_pool(size=3) as pool:
        for told in await ask_each(pool, 3, "descriptors"):
            kinds = sorted(name.partition(":")[0] for name in told.values())
            # Null, stderr twice; the wire, the lifeline, both ends of the stop signal's pipe;
            # requests and results in memory.
            assert kinds == ["/dev/null", *["/memfd"] * 2, *["pipe"] * 7]


async def test_no_two_workers_draw_the_same_random_numbers() -> None:
    async with make_pool(size=4) as pool:
        told = await ask_each(pool, 4, "draws")
        assert pool.stats().start_method == "forkserver"
    for draws in zip(*told, strict=True):
        assert len(set(draws)) == 4


async def test_options_may_be_larger_than_a_socket_takes_at_once() -> None:
    async with make_pool(options={"path": "x" * 5_000_000}) as pool:
        assert (await pool.call("loaded"))["preloads"] == 1


async def test_exit_handlers_run_in_a_worker_that_is_closed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    async with make_pool(options={"goodbye": str(note)}) as pool:
        await pool.call("loaded")
    assert note.read_text() == "goodbye"


async def test_a_preload_that_cannot_read_its_options_makes_the_environment_invalid() -> None:
    async with make_pool(options={"preload": 5}) as pool:
        with pytest.raises(EnvironmentInvalid, match=r"preload 'load' raised .*Expected `str`"):
            await pool.call("loaded")


@pytest.mark.parametrize(
    ("vice", "said"),
    [
        ("fail", "RuntimeError: no such table"),
        ("exit", "exited with status 7"),
        ("die", "SIGSEGV.*about to die"),
    ],
)
async def test_a_template_that_fails_makes_the_environment_invalid(vice: str, said: str) -> None:
    async with make_pool(options={"preload": vice}) as pool:
        with pytest.raises(EnvironmentInvalid, match=said):
            await pool.call("loaded")
        with pytest.raises(EnvironmentInvalid, match=said):
            await pool.wait_ready()


async def test_an_import_that_raises_makes_the_environment_invalid() -> None:
    async with make_pool("tests.contract.broken_import") as pool:
        with pytest.raises(EnvironmentInvalid, match="ZeroDivisionError") as caught:
            await pool.call("echo")
        assert len(caught.value.problems) == 1


async def test_a_template_that_does_not_finish_is_given_up() -> None:
    async with make_pool(options={"preload": "hang"}, start_timeout=0.5) as pool:
        with pytest.raises(EnvironmentInvalid, match=r"did not end within 0\.5 s"):
            await pool.call("loaded")


async def test_closing_does_not_wait_for_an_import() -> None:
    async with make_pool(options={"preload": "hang"}) as pool:
        with pytest.raises(PoolTimeout):
            await pool.call("loaded", timeout=0.5)
        assert children()


# Where forking is not safe


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    records = [r for r in caplog.records if r.name == "bridgepool"]
    return [r.getMessage() for r in records if "spawned" in r.getMessage()]


async def test_a_thread_at_import_is_named_and_workers_are_spawned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with make_pool("tests.contract.threaded_import", size=3) as pool:
        await pool.wait_ready()
        assert await pool.call("echo", {"x": 1}) == {"x": 1}
        assert (await pool.call("pid"))["ppid"] == os.getpid()
        assert pool.stats().start_method == "spawn"
        assert pool.stats().validations == {"ok": 1}
    (warning,) = warnings_in(caplog)
    assert "price-list, since the import of tests.contract.threaded_library" in warning


@pytest.mark.parametrize(
    ("vice", "said"),
    [
        ("thread", "the-ticker, since preload 'load'"),
        ("file", "a descriptor was left open .*left-open"),
        ("socket", "a descriptor was left open .*socket:"),
    ],
)
async def test_what_a_preload_leaves_behind_is_named(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, vice: str, said: str
) -> None:
    options = {"preload": vice, "path": str(tmp_path / "left-open")}
    async with make_pool(options=options) as pool:
        told = await pool.call("loaded")
        assert told["preloaded"] == told["started"], "a spawned worker preloads for itself"
    assert [m for m in warnings_in(caplog) if re.search(said, m)]


async def test_numeric_libraries_threads_come_with_advice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with make_pool(env={"OPENBLAS_NUM_THREADS": "2"}) as pool:
        await pool.call("loaded")
        assert pool.stats().start_method == "spawn"
    assert "set cpu_threads=1" in warnings_in(caplog)[0]


async def test_a_device_without_a_state_may_stay_open() -> None:
    async with make_pool(options={"preload": "null"}) as pool:
        await pool.call("loaded")
        assert pool.stats().start_method == "forkserver"


async def test_what_becomes_unsafe_later_is_noticed_before_the_next_fork(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with make_pool(options={"preload": "thread later"}) as pool:
        first = await pool.call("loaded")
        (template,) = children()
        os.kill(template, signal.SIGUSR1)
        await pool.wait_ready()
        assert first["imported"] == template
        assert pool.stats().start_method == "spawn"
        assert len(await ask_each(pool, 2, "loaded")) == 2
    assert "the-ticker" in warnings_in(caplog)[0]


# The template's death


async def test_a_worker_ends_with_its_own_status_while_the_template_lives() -> None:
    async with make_pool("bridge.faulty") as pool:
        for signal_number in (signal.SIGKILL, signal.SIGSEGV):
            with pytest.raises(BrokenWorkerError) as caught:
                await pool.call("crash", {"way": "signal", "number": signal_number})
            assert caught.value.signal == signal_number
        with pytest.raises(BrokenWorkerError) as caught:
            await pool.call("crash", {"status": 3})
        assert caught.value.returncode == 3


async def test_workers_outlive_their_template_and_the_next_start_brings_another() -> None:
    async with make_pool("bridge.faulty") as pool:
        await pool.wait_ready()
        before = pool.stats()
        (template,) = children()
        os.kill(template, signal.SIGKILL)
        await until(pool, lambda _: not children())
        assert await pool.call("echo", {"x": 1}) == {"x": 1}
        assert pool.stats().workers[0].pid == before.workers[0].pid

        with pytest.raises(BrokenWorkerError, match="status unknown") as caught:
            await pool.call("crash", {"status": 3})
        assert (caught.value.returncode, caught.value.signal) == (None, None)
        await until(pool, lambda stats: stats.idle == 2)
        after = pool.stats()
        assert after.worker_exits == {"template_lost": 1}
        assert [worker.generation for worker in after.workers] == [1, 2]
        assert (before.generation, after.generation) == (1, 2)


async def test_a_worker_that_dies_with_its_template_is_replaced() -> None:
    async with make_pool("bridge.faulty") as pool:
        await pool.wait_ready()
        await ask_each(pool, 2, "pid")
        dead = {worker.pid for worker in pool.stats().workers}
        for pid in [*children(), *dead]:
            os.kill(pid or 0, signal.SIGKILL)
        await until(pool, lambda s: s.idle == 2 and not {w.pid for w in s.workers} & dead)
        assert await pool.call("echo") == {}


async def test_a_template_that_is_stuck_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_module, "ANSWER_WITHIN", 0.1)
    async with make_pool("bridge.echo") as pool:
        await pool.call("echo")
        (template,) = children()
        os.kill(template, signal.SIGSTOP)
        await pool.wait_ready()
        assert [worker.generation for worker in pool.stats().workers] == [1, 2]


async def test_a_start_that_nobody_waits_for_any_more_leaves_no_worker() -> None:
    async with make_pool("bridge.echo") as pool:
        await pool.call("echo")
        (template,) = children()
        os.kill(template, signal.SIGSTOP)
        waiting = asyncio.ensure_future(pool.wait_ready())
        await until(pool, lambda stats: stats.starting == 1)
        await pool.terminate()
        with pytest.raises(PoolClosed):
            await waiting


async def test_templates_that_keep_dying_are_failed_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with make_pool("bridge.echo", max_restarts=0) as pool:
        await pool.call("echo")
        # From here on its interpreter cannot be found.
        command = [os.devnull]
        monkeypatch.setattr("pool.launch.loading.template_command", lambda *_: command)
        (template,) = children()
        os.kill(template, signal.SIGKILL)
        async with pool.checkout() as worker:
            os.kill(worker.pid or 0, signal.SIGKILL)
            with pytest.raises(BrokenWorkerError):
                await worker.call("sleep", {"seconds": 60})
        stats = await until(pool, lambda stats: stats.failed_starts == 1)
        assert stats.worker_exits["start"] == 1


async def test_a_thousand_forks_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="bridgepool")
    async with make_pool("bridge.echo", size=8) as pool:
        await pool.wait_ready()
        (template,) = children()
        await churn(pool, 100)
        before = (footprint(template), footprint(os.getpid()))
        await churn(pool, 900)
        after = (footprint(template), footprint(os.getpid()))
        assert children() == {template}
        assert offspring(template) == {worker.pid for worker in pool.stats().workers}
    for (fds, memory), (fds_after, memory_after) in zip(before, after, strict=True):
        assert fds_after == fds
        assert memory_after < memory + 1.5e6


async def churn(pool: WorkerPool, kills: int) -> None:
    """Lose `kills` workers, and wait until the pool is whole again."""
    until_lost = pool.stats().replacements + kills

    async def lose() -> None:
        while pool.stats().replacements < until_lost:
            try:
                async with pool.checkout() as worker:
                    await worker.call("echo")
                    os.kill(worker.pid or 0, signal.SIGKILL)
                    await worker.call("sleep", {"seconds": 60})
            except BrokenWorkerError:
                continue

    await asyncio.gather(*(lose() for _ in range(4)))
    await until(pool, lambda stats: stats.idle == 8 == stats.total)


def footprint(pid: int) -> tuple[int, int]:
    """Open descriptors and private bytes of a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    private = sum(int(line.split()[1]) for line in rollup if line.startswith("Private"))
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), private * 1024
