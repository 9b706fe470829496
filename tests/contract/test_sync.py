"""The same pool for synchronous code."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from pool import PoolClosed, PoolState, PoolTimeout, RemoteError, SyncWorkerPool

METHODS = ["forkserver", "spawn"]


def make_pool(method: Any, **options: Any) -> SyncWorkerPool:
    return SyncWorkerPool("bridge.echo", **{"start_method": method, "size": 1, **options})


@pytest.mark.parametrize("method", METHODS)
def test_calls_leases_and_errors_are_the_same(method: str) -> None:
    with make_pool(method, size=2) as pool:
        pool.wait_ready(1)
        assert pool.call("echo", {"a": 1}) == {"a": 1}
        with pool.checkout(timeout=5.0) as worker:
            assert worker.call("pid", result_type=dict[str, int])["pid"] == worker.pid
            assert worker.name in {stats.name for stats in pool.stats().workers}
        with pytest.raises(RemoteError, match="no luck"):
            pool.call("fail", {"message": "no luck"})
        assert pool.stats().state is PoolState.OPEN
    with pytest.raises(PoolClosed):
        pool.call("echo")


@pytest.mark.parametrize("method", METHODS)
def test_any_number_of_threads_share_it(method: str) -> None:
    class Slept(msgspec.Struct):
        slept: float

    with make_pool(method, size=2) as pool, ThreadPoolExecutor(8) as threads:

        def nap(_: int) -> Slept:
            slept: Slept = pool.call("sleep", {"seconds": 0.01}, result_type=Slept)
            return slept

        assert list(threads.map(nap, range(20))) == [Slept(0.01)] * 20


@pytest.mark.parametrize("method", METHODS)
def test_a_checkout_can_time_out(method: str) -> None:
    with (
        make_pool(method) as pool,
        pool.checkout(),
        pytest.raises(PoolTimeout),
        pool.checkout(timeout=0.05),
    ):
        pass


@pytest.mark.parametrize("method", METHODS)
def test_closing_twice_and_terminating_are_fine(method: str) -> None:
    pool = make_pool(method)
    pool.close()
    pool.open()
    pool.call("echo")
    pool.terminate()
    pool.close()
    assert not [
        t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_forked_child_is_refused(method: str) -> None:
    with make_pool(method) as pool:
        assert pool.call("echo") == {}
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            said = b"nothing"
            try:
                pool.call("echo")
            except PoolClosed as error:
                said = str(error).encode()
            finally:
                os.write(writing, said)
                os._exit(0)
        os.close(writing)
        assert b"opened in another process" in os.read(reading, 1000)
        os.close(reading)
        os.waitpid(child, 0)
