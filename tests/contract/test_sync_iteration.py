"""Streams and maps for synchronous code."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

import pytest

from pool import LeaseClosed, PoolClosed, RemoteError, ResultTypeError, SyncWorkerPool
from pool.sync.loop_thread import LoopThread

MAIN = threading.main_thread()


def make_pool(bridge: str = "bridge.echo", **options: Any) -> SyncWorkerPool:
    return SyncWorkerPool(bridge, **{"size": 1, "grace_period": 1.0, **options})


def numbered(count: int) -> Iterator[dict[str, int]]:
    return ({"i": i} for i in range(count))


def naps(*seconds: object) -> list[dict[str, object]]:
    return [{"seconds": each} for each in seconds]


def is_whole(pool: SyncWorkerPool) -> bool:
    """Whether the pool serves, with nothing held by anybody."""
    pool.call("echo", timeout=5.0)
    return pool.stats().busy == 0


def main_waits() -> bool:
    """Whether the main thread waits for something."""
    return sys._current_frames()[MAIN.ident or 0].f_code.co_name == "wait"


@contextmanager
def interrupted(now: Callable[[], bool] = main_waits) -> Iterator[threading.Event]:
    """Ctrl-C, once the event that is given has been set and `now` is true."""
    begun = threading.Event()

    def interrupt() -> None:
        begun.wait()
        while not now():
            time.sleep(0.001)  # nothing tells that a thread waits
        signal.pthread_kill(MAIN.ident or 0, signal.SIGINT)

    # A shell may have started the tests with it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        yield begun
    thread.join()
    signal.signal(signal.SIGINT, before)


# Map


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_results_come_in_the_order_of_the_items(method: Any) -> None:
    with make_pool(size=2, start_method=method) as pool:
        with pool.map("echo", numbered(3000)) as results:
            assert list(results) == list(numbered(3000))
            assert results.index == 2999
        with pool.map("echo", iter([])) as results:
            assert list(results) == []


def test_results_as_they_come_tell_whose_they_are() -> None:
    with make_pool(size=2) as pool:
        items = naps(0.2, 0.0, 0.0, 0.0)
        with pool.map("sleep", items, ordered=False, result_type=dict[str, float]) as results:
            told = [(results.index, result["slept"]) for result in results]
    assert told[-1] == (0, 0.2)
    assert sorted(told)[1:] == [(1, 0.0), (2, 0.0), (3, 0.0)]


def test_quick_calls_do_not_cost_a_hop_each(monkeypatch: pytest.MonkeyPatch) -> None:
    hops = []
    call = LoopThread.call

    def counted(self: LoopThread, function: Callable[[], Any]) -> Any:
        hops.append(function)
        return call(self, function)

    monkeypatch.setattr(LoopThread, "call", counted)
    with make_pool() as pool, pool.map("echo", numbered(20_000)) as results:
        assert len(list(results)) == 20_000
    assert len(hops) < 2_000


def test_an_error_stands_in_its_place_and_the_next_can_be_read() -> None:
    with make_pool() as pool:
        with pool.map("sleep", naps(0, "long", 0)) as results:
            assert next(results) == {"slept": 0}
            with pytest.raises(RemoteError, match="seconds"):
                next(results)
            assert (next(results), results.index) == ({"slept": 0}, 2)
            with pytest.raises(StopIteration):
                next(results)
        with pool.map("sleep", naps(0, "long"), return_exceptions=True) as results:
            assert [type(result) for result in results] == [dict, RemoteError]


def test_leaving_a_map_early_ends_what_is_under_way() -> None:
    with make_pool() as pool:
        with pool.map("echo", numbered(1_000_000), max_in_flight=8) as results:
            assert next(results) == {"i": 0}
        assert is_whole(pool)
        with pytest.raises(ZeroDivisionError), pool.map("echo", numbered(100)):
            raise ZeroDivisionError
        assert is_whole(pool)


def test_what_the_iterator_raises_comes_after_the_results_before_it() -> None:
    def broken() -> Iterator[dict[str, int]]:
        yield from numbered(5)
        raise ZeroDivisionError("of the dataset")

    read: list[object] = []
    with (
        make_pool() as pool,
        pytest.raises(ZeroDivisionError, match="of the dataset"),
        pool.map("echo", broken()) as results,
    ):
        read += results
    assert read == list(numbered(5))


def test_an_iterator_that_uses_the_pool_is_told_so() -> None:
    with make_pool() as pool:
        uses: list[Callable[[], object]] = [lambda: pool.call("echo"), pool.close]
        for use in uses:
            items = (use() for _ in range(3))
            told = pytest.raises(RuntimeError, match="own thread")
            with told, pool.map("echo", items) as results:
                next(results)
        assert is_whole(pool)


def test_what_cannot_be_is_refused_before_the_block() -> None:
    with make_pool() as pool:
        with (
            pytest.raises(ValueError, match="max_in_flight=0"),
            pool.map("echo", [], max_in_flight=0),
        ):
            pass
        with pytest.raises(RemoteError, match="Unknown command"), pool.stream("nothing") as items:
            next(items)
        with pytest.raises(TypeError), pool.map("echo", 5):  # type: ignore[arg-type]
            pass


# Streams


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_stream_of_the_pool_and_of_a_lease(method: Any) -> None:
    with make_pool(start_method=method) as pool:
        with pool.stream("count", {"n": 1000}) as items:
            assert list(items) == list(numbered(1000))
            assert items.result == {"items": 1000}
        with pool.checkout() as worker:
            with worker.stream("count", {"n": 2}, result_type=dict[str, int]) as items:
                assert list(items) == [{"i": 0}, {"i": 1}]
            assert worker.call("echo") == {}


def test_an_error_comes_after_the_items_before_it() -> None:
    with make_pool("tests.contract.bridges:kinds", options={}) as pool:
        read: list[object] = []
        with (
            pytest.raises(RemoteError, match="no shouting"),
            pool.stream("letters", {"word": "ab!"}) as items,
        ):
            read += items
        assert read == ["a", "b"]


def test_an_item_of_another_type_does_not_end_the_stream() -> None:
    kind = Literal["a", "c"]
    with (
        make_pool("tests.contract.bridges:kinds", options={}) as pool,
        pool.stream("letters", {"word": "abc"}, result_type=kind) as items,
    ):
        assert next(items) == "a"
        with pytest.raises(ResultTypeError):
            next(items)
        assert list(items) == ["c"]


def test_leaving_a_stream_early_frees_the_worker() -> None:
    with make_pool() as pool:
        with pool.stream("count", {"n": 10**9}) as items:
            assert next(items) == {"i": 0}
        assert is_whole(pool)
        with pool.checkout() as worker:
            with worker.stream("count", {"n": 10**9}) as items:
                next(items)
            with pytest.raises(LeaseClosed):
                worker.call("echo")
        assert is_whole(pool)


# Threads


def test_several_threads_have_maps_and_streams_at_once() -> None:
    with make_pool(size=2) as pool, ThreadPoolExecutor(6) as threads:

        def mapped(number: int) -> bool:
            items = [{"thread": number, "i": i} for i in range(500)]
            with pool.map("echo", items) as results:
                return list(results) == items

        def streamed(number: int) -> bool:
            with pool.stream("count", {"n": 300 + number}) as items:
                return list(items) == list(numbered(300 + number))

        done = [threads.submit(each, number) for number in range(6) for each in (mapped, streamed)]
        assert all(future.result() for future in done)
        assert is_whole(pool)


def test_a_wait_that_is_interrupted_can_be_taken_up_again() -> None:
    with make_pool() as pool:
        with pool.map("sleep", naps(0.5)) as results:
            with interrupted() as begun:
                begun.set()
                next(results)
            assert next(results) == {"slept": 0.5}
        with pool.stream("count", {"n": 1, "delay": 0.5}) as items:
            with interrupted() as begun:
                begun.set()
                next(items)
            assert next(items) == {"i": 0}
        assert is_whole(pool)


def test_an_interrupted_wait_for_a_worker_takes_none() -> None:
    with make_pool() as pool:
        with pool.checkout(), interrupted(lambda: pool.stats().waiting == 1) as begun:
            begun.set()
            with pool.checkout():
                pass
        assert is_whole(pool)


def test_an_interrupted_call_gives_its_worker_up() -> None:
    with make_pool(late_reply_timeout=0.1) as pool:
        with interrupted(lambda: pool.stats().busy == 1) as begun:
            begun.set()
            pool.call("sleep", {"seconds": 20})
        assert is_whole(pool)


@pytest.mark.parametrize("kind", ["checkout", "map", "stream"])
def test_closing_does_not_wait_for_the_blocks_of_other_threads(kind: str) -> None:
    pool = make_pool()
    pool.open()
    inside, closed = threading.Event(), threading.Event()

    def use() -> None:
        if kind == "checkout":
            with pool.checkout() as worker:
                inside.set()
                closed.wait()
                worker.call("echo")
        elif kind == "map":
            with pool.map("echo", numbered(10**9), max_in_flight=2) as results:
                inside.set()
                closed.wait()
                list(results)
        else:
            with pool.stream("count", {"n": 10**9}) as items:
                inside.set()
                closed.wait()
                list(items)

    with ThreadPoolExecutor(1) as threads:
        used = threads.submit(use)
        inside.wait()
        pool.terminate()
        closed.set()
        with pytest.raises(PoolClosed):
            used.result()
