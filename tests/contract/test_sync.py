"""The same pool for synchronous code."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from pool import PoolClosed, PoolState, PoolTimeout, RemoteError, SyncWorkerPool


def test_calls_leases_and_errors_are_the_same() -> None:
    with SyncWorkerPool("bridge.echo", size=2) as pool:
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


def test_any_number_of_threads_share_it() -> None:
    class Slept(msgspec.Struct):
        slept: float

    with SyncWorkerPool("bridge.echo", size=2) as pool, ThreadPoolExecutor(8) as threads:

        def nap(_: int) -> Slept:
            slept: Slept = pool.call("sleep", {"seconds": 0.01}, result_type=Slept)
            return slept

        assert list(threads.map(nap, range(20))) == [Slept(0.01)] * 20


def test_a_checkout_can_time_out() -> None:
    with (
        SyncWorkerPool("bridge.echo", size=1) as pool,
        pool.checkout(),
        pytest.raises(PoolTimeout),
        pool.checkout(timeout=0.05),
    ):
        pass


def test_closing_twice_and_terminating_are_fine() -> None:
    pool = SyncWorkerPool("bridge.echo", size=1)
    pool.close()
    pool.open()
    pool.call("echo")
    pool.terminate()
    pool.close()
    assert not [
        t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon
    ]


def test_a_forked_child_is_refused() -> None:
    with SyncWorkerPool("bridge.echo", size=1) as pool:
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
