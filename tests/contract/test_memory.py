"""Large values outside the JSON: the same values, wherever memory is and where it is not."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.messages.memory import LARGE
from bridge.messages.memory.files import KEPT
from pool import (
    BrokenWorkerError,
    CallTimeout,
    PoolClosed,
    ProtocolError,
    RemoteError,
    RequestError,
    ResultTypeError,
    WorkerPool,
)
from pool.launch.descriptors import open_memory
from tests.contract.memory_bridge import LIES, Plain, Record
from tests.contract.pools import WAYS, make_pool, until
from tests.processes import descriptors

MEGABYTE = 1024 * 1024


def pool_of(launcher: str = "forkserver", bridge: str = "bridge", **options: Any) -> WorkerPool:
    target = f"tests.contract.memory_bridge:{bridge}"
    return make_pool(launcher, target, cpu_threads=1, **{"size": 1, **options})


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is given back sooner than a person would wait."""
    monkeypatch.setattr("pool.exchange.thrift.LINGER", 0.02)


async def until_small(pool: WorkerPool, most: int = 0) -> None:
    """Wait until both files of the worker have no more bytes than that."""
    async with asyncio.timeout(30.0):
        while max(await pool.call("sizes")) > most:
            pass  # each call is a turn of the loop


@pytest.fixture(params=WAYS)
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[WorkerPool]:
    async with pool_of(request.param) as pool:
        yield pool


@pytest.fixture
async def with_memory() -> AsyncIterator[WorkerPool]:
    async with pool_of() as pool:
        yield pool


# The same values


@pytest.mark.parametrize("launcher", WAYS)
async def test_bytes_of_any_size_come_back_as_they_were(launcher: str) -> None:
    async with make_pool(launcher, size=1) as pool:
        for size in (0, 1, LARGE - 1, LARGE, LARGE + 1, MEGABYTE, 20 * MEGABYTE):
            data = os.urandom(size)
            assert await pool.call("blob", {"data": data}, result_type=bytes) == data


async def test_what_is_like_bytes_is_sent_as_bytes(pool: WorkerPool) -> None:
    data = os.urandom(LARGE * 2)
    for value in (bytearray(data), memoryview(data), memoryview(data).cast("f", (2, LARGE // 4))):
        sent = {"value": value}
        assert await pool.call("same", sent, result_type=bytes) == data
        assert await pool.call("same", sent, result_type=bytearray) == data
    assert await pool.call("same_on_loop", {"value": data}, result_type=bytes) == data


ARRAYS = [
    np.arange(2 * LARGE).reshape(2, -1) % 3 == 0,
    np.arange(LARGE, dtype="<i4"),
    np.arange(LARGE, dtype=">u8").reshape(4, 4, -1),
    np.linspace(0, 1, LARGE, dtype="f2"),
    np.arange(LARGE, dtype="f8").reshape(2, -1).T,
    np.arange(4 * LARGE, dtype="f4")[::-2],
    np.full(LARGE, np.nan),
]


async def test_arrays_come_back_as_they_were(pool: WorkerPool) -> None:
    for array in ARRAYS:
        same_type = NDArray[array.dtype.type]  # type: ignore[name-defined]
        back = await pool.call("same", {"value": array}, result_type=same_type)
        np.testing.assert_array_equal(back, array)
        assert back.dtype.type is array.dtype.type
        back[0] = 0  # it is nobody else's


async def test_in_memory_arrays_keep_their_dtype(with_memory: WorkerPool) -> None:
    for dtype in (">f4", "c16", "M8[us]", "m8[D]", "S5", "U3", "?"):
        array = np.arange(LARGE * 2).reshape(2, -1).astype(dtype)
        said = await with_memory.call("kind", {"value": array})
        assert said == {"type": "ndarray", "dtype": array.dtype.str, "shape": list(array.shape)}
        back = await with_memory.call("same", {"value": array})
        assert (back.dtype, back.tobytes()) == (array.dtype, array.tobytes())


async def test_a_type_that_is_named_is_what_it_is_however_the_value_came(pool: WorkerPool) -> None:
    for count in (10, LARGE):
        args = {"data": bytes(count) + b"x", "weights": np.ones(count), "scale": 2.0}
        result = await pool.call("typed", args, result_type=dict[str, Any])
        assert result["dtype"] == "<f4"
        assert await pool.call("total", {"numbers": np.ones(count)}) == count
        numbers = await pool.call("same", {"value": np.ones(count)}, result_type=list[float])
        assert numbers == [1.0] * count


async def test_structs_and_dataclasses_have_large_members(pool: WorkerPool) -> None:
    for size in (10, LARGE * 2):
        record = await pool.call("record", {"size": size}, result_type=Record)
        assert (record.raw_data, record.n) == (bytes(size), 1)
        np.testing.assert_array_equal(record.weights, np.arange(size))
        plain = await pool.call("plain", {"size": size}, result_type=Plain)
        assert plain == Plain(bytes(size))
        back = await pool.call("members", plain, result_type=Plain)
        assert back == plain
        back = await pool.call("members", record, result_type=Record)
        np.testing.assert_array_equal(back.weights, record.weights)


async def test_many_values_in_one_call(pool: WorkerPool) -> None:
    sent = {str(i): bytes([i]) * (LARGE + i) for i in range(20)}
    back = await pool.call("members", {**sent, "small": "x"}, result_type=dict[str, Any])
    assert back.pop("small") == "x"
    assert msgspec.convert(back, dict[str, bytes]) == sent


async def test_without_a_type_a_large_value_is_what_was_sent(with_memory: WorkerPool) -> None:
    data, array = os.urandom(LARGE * 2), np.arange(LARGE)
    back = await with_memory.call("members", {"a": data, "b": array, "c": [1]})
    assert back["a"] == data
    np.testing.assert_array_equal(back.pop("b"), array)
    assert await with_memory.call("kind", {"value": data}) == {"type": "bytes"}


async def test_what_is_further_inside_and_what_is_streamed_is_json(pool: WorkerPool) -> None:
    data = bytes(LARGE * 2)
    inside = await pool.call("members", {"a": [data]}, result_type=dict[str, list[bytes]])
    assert inside == {"a": [data]}
    async with pool.stream("items", {"size": LARGE * 2}, result_type=bytes) as items:
        assert [item async for item in items] == [data]


async def test_many_calls_on_many_workers_do_not_mix(with_memory: WorkerPool) -> None:
    with_memory.resize(3)

    async def one(number: int) -> None:
        data = number.to_bytes(2) * (LARGE + number * 1000)
        for _ in range(3):
            assert await with_memory.call("same", {"value": data}, result_type=bytes) == data

    await asyncio.gather(*(one(number) for number in range(24)))


@pytest.mark.parametrize("command", ["same_on_loop", "same"])
async def test_many_calls_at_a_time_on_one_worker_do_not_mix(command: str) -> None:
    async with pool_of(concurrency=4) as pool:

        async def one(number: int) -> None:
            data = number.to_bytes(2) * (LARGE + number * 1000)
            assert await pool.call(command, {"value": data}, result_type=bytes) == data

        await asyncio.gather(*(one(number) for number in range(40)))
        await until_small(pool, KEPT)


async def test_a_map_takes_large_values(pool: WorkerPool) -> None:
    for size in (10, LARGE * 2):
        data = [bytes([number]) * size for number in range(50)]
        args = [{"value": value} for value in data]
        async with pool.map("same", args, result_type=bytes) as results:
            assert [result async for result in results] == data
    args = [{"value": bytes(LARGE * 2)}] * 50
    async with pool.map("kind", args) as results:
        assert len({result["type"] async for result in results}) == 1
    made = [{"size": LARGE * 2}] * 50
    async with pool.map("made", made) as results:
        assert len({type(result) async for result in results}) == 1


async def test_a_bridge_without_numpy_is_sent_lists() -> None:
    async with pool_of(bridge="without_numpy") as pool:
        assert await pool.call("same", {"value": np.ones(LARGE)}) == [1.0] * LARGE
        data = bytes(LARGE * 2)
        assert await pool.call("same", {"value": data}) == data


# What does not fit


async def test_a_result_of_another_type_is_kept_as_it_is(with_memory: WorkerPool) -> None:
    with pytest.raises(ResultTypeError, match="Expected `int`, got `bytes`") as caught:
        await with_memory.call("made", {"size": LARGE * 2}, result_type=int)
    assert caught.value.result == bytes(LARGE * 2)
    with pytest.raises(ResultTypeError) as caught:
        await with_memory.call("record", {"size": LARGE * 2}, result_type=dict[str, int])
    assert caught.value.result["rawData"] == bytes(LARGE * 2)
    assert caught.value.result["n"] == 1


async def test_an_argument_of_another_type_is_named(pool: WorkerPool) -> None:
    data = bytes(LARGE * 2)
    with pytest.raises(RemoteError) as caught:
        await pool.call("typed", {"data": data, "weights": data, "nope": data})
    assert {problem["path"] for problem in caught.value.details} == {"weights", "nope"}


async def test_values_are_bounded_as_frames_are() -> None:
    async with pool_of(max_frame_bytes=MEGABYTE) as pool:
        assert len(await pool.call("same", {"value": bytes(MEGABYTE)})) == MEGABYTE
        with pytest.raises(RequestError, match=f"take {MEGABYTE + 1} bytes"):
            await pool.call("same", {"value": bytes(MEGABYTE + 1)})
        half = bytes(MEGABYTE // 2 + 1)
        with pytest.raises(RequestError, match=f"take {MEGABYTE + 2} bytes"):
            await pool.call("members", {"a": half, "b": half})
        with pytest.raises(RemoteError, match=f"too large to send: {MEGABYTE + 1} bytes"):
            await pool.call("made", {"size": MEGABYTE + 1})
        assert len(await pool.call("made", {"size": MEGABYTE})) == MEGABYTE
        await until_small(pool, MEGABYTE)


async def test_a_request_that_is_too_large_for_its_frame_leaves_nothing_behind() -> None:
    async with pool_of(max_frame_bytes=4 * KEPT) as pool:
        text = "x" * (4 * KEPT - 20)  # which the arguments have room for, and a frame has not
        with pytest.raises(RequestError, match="the request is a frame of"):
            await pool.call("members", {"data": bytes(3 * KEPT), "text": text})
        await until_small(pool)


async def test_where_there_is_no_memory_the_frame_is_the_bound() -> None:
    async with pool_of("argv", max_frame_bytes=MEGABYTE) as pool:
        with pytest.raises(RequestError, match="over the limit"):
            await pool.call("same", {"value": bytes(MEGABYTE)})
        with pytest.raises(RequestError, match=r"cannot be encoded: .*complex"):
            await pool.call("same", {"value": np.ones(LARGE) * 1j})
        assert await pool.call("same", {"value": "served"}) == "served"


async def test_a_value_that_shrinks_while_it_waits_is_not_sent() -> None:
    async with pool_of() as pool:
        data = bytearray(LARGE * 2)
        call = asyncio.create_task(pool.call("same", {"value": data}))
        await asyncio.sleep(0)  # it waits for the first worker
        del data[LARGE:]
        with pytest.raises(RequestError, match="'value' was changed before it was sent"):
            await call
        assert pool.stats().idle == 1


# Memory comes back


async def test_files_are_emptied_when_all_was_read(with_memory: WorkerPool) -> None:
    data = bytes(4 * KEPT)
    for _ in range(3):
        await with_memory.call("same", {"value": data})
        with pytest.raises(RemoteError, match=f"{len(data)} bytes"):
            await with_memory.call("fail_with", {"data": data})
        await until_small(with_memory)


async def test_the_arguments_of_a_long_call_are_given_back(with_memory: WorkerPool) -> None:
    data = bytes(4 * KEPT)
    assert await with_memory.call("weighed", {"data": data, "seconds": 0.2}) == len(data)
    await until_small(with_memory)


async def test_a_late_reply_gives_its_memory_back() -> None:
    async with pool_of(late_reply_timeout=20.0) as pool:
        await pool.wait_ready()
        args = {"data": bytes(4 * KEPT), "seconds": 0.1}
        with pytest.raises(CallTimeout):
            await pool.call("late", args, timeout=0.05)
        await until(pool, lambda stats: stats.late_replies == 1)
        task = asyncio.create_task(pool.call("late", args))
        await until(pool, lambda stats: stats.busy == 1)
        task.cancel()
        stats = await until(pool, lambda stats: stats.late_replies == 2)
        assert stats.worker_exits == {}
        await until_small(pool)


def private(pid: int | str) -> int:
    """Bytes that a process has to itself."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private"))


async def test_processes_do_not_grow_with_the_values_they_have_seen() -> None:
    async with make_pool("forkserver", size=1) as pool:
        data = memoryview(bytes(20 * MEGABYTE))

        async def use(times: int) -> None:
            for _ in range(times):
                assert await pool.call("blob", {"data": data}, result_type=bytes) == data

        child = (await pool.call("pid"))["pid"]
        await use(1)
        before = private("self"), private(child)
        await use(12)
        # The allocator keeps up to 40 MiB of what was freed (mallopt(3), M_TRIM_THRESHOLD).
        assert private("self") - before[0] < 60 * MEGABYTE
        assert private(child) - before[1] < 60 * MEGABYTE


@pytest.mark.parametrize("launcher", ["spawn", "forkserver"])
@pytest.mark.parametrize("made", [0, 1])
async def test_where_the_kernel_makes_no_files_a_worker_does_without(
    launcher: str, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [open_memory] * made

    def none_left() -> int:
        if left:
            return left.pop()()
        raise OSError(errno.ENOSYS, "")

    monkeypatch.setattr("pool.launch.handover.open_memory", none_left)
    async with make_pool(launcher, size=1) as pool:
        data = os.urandom(LARGE * 2)
        assert await pool.call("blob", {"data": data}, result_type=bytes) == data
        assert type(await pool.call("blob", {"data": data})) is str


async def test_a_launch_that_is_given_up_closes_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    launching, may_go_on = threading.Event(), threading.Event()

    def slow(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        if "--memory-fds" in command:
            launching.set()
            assert may_go_on.wait(10)
        return subprocess.Popen(command, **options)

    monkeypatch.setattr("pool.launch.starter.Popen", slow)
    pool = pool_of("spawn")
    await pool.open()
    call = asyncio.create_task(pool.call("sizes"))
    await asyncio.to_thread(launching.wait, 10)
    end = asyncio.create_task(pool.terminate())
    with pytest.raises(PoolClosed):
        await call
    may_go_on.set()
    await end
    assert not [name for name in descriptors().values() if "memfd" in name]


async def test_nobody_may_seal_the_files(with_memory: WorkerPool) -> None:
    with pytest.raises(RemoteError, match="Operation not permitted"):
        await with_memory.call("seal")


@pytest.mark.parametrize("launcher", ["spawn", "forkserver"])
async def test_no_child_of_a_worker_has_the_files(launcher: str) -> None:
    async with pool_of(launcher) as pool:
        assert (await pool.call("inherited")).strip() == "0"


async def test_no_child_of_the_application_has_the_files(with_memory: WorkerPool) -> None:
    assert max(await with_memory.call("sizes")) == 0
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        mine = any("memfd" in name for name in descriptors().values())
        os.write(writing, b"some" if mine else b"none")
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 10) == b"none"
    os.close(reading)
    await asyncio.to_thread(os.waitpid, child, 0)


async def test_a_worker_that_dies_with_values_on_it_is_replaced(with_memory: WorkerPool) -> None:
    for _ in range(3):
        with pytest.raises(BrokenWorkerError):
            await with_memory.call("leave", {"data": bytes(4 * KEPT)})
    data = os.urandom(LARGE * 2)
    assert await with_memory.call("same", {"value": data}) == data


async def test_a_repeated_call_sends_its_values_again() -> None:
    async with pool_of() as pool:
        data = os.urandom(4 * KEPT)
        args = {"data": data, "seconds": 0.2}
        task = asyncio.create_task(pool.call("late", args, idempotent=True))
        (worker,) = (await until(pool, lambda stats: stats.busy == 1)).workers
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        assert await task == data


# Lies


@pytest.mark.parametrize("at", [None, "a"])
async def test_who_lies_about_a_value_is_killed(at: str | None) -> None:
    async with pool_of() as pool:
        data = bytes(LARGE * 2)
        for what in LIES:
            assert await pool.call("same", {"value": data}) == data
            with pytest.raises(ProtocolError, match="told of a result that cannot be there"):
                await pool.call("lie", {"what": what, "at": at})
        assert pool.stats().worker_exits == {"protocol": len(LIES)}


async def test_values_of_what_has_no_members_are_a_lie() -> None:
    async with pool_of() as pool:
        with pytest.raises(ProtocolError, match="told of a result that cannot be there"):
            await pool.call("wrong_place", {"result": 5})


async def test_a_file_that_is_cut_short_is_no_end_of_the_pool() -> None:
    async with pool_of() as pool:
        with pytest.raises(ProtocolError, match="ends before"):
            await pool.call("cut_short")
        assert len(await pool.call("made", {"size": LARGE * 2})) == LARGE * 2


async def test_what_nobody_waits_for_is_not_looked_at() -> None:
    async with pool_of(late_reply_timeout=20.0) as pool:
        args = {"size": 10**12, "seconds": 0.1}
        call = asyncio.create_task(pool.call("claim", args))
        await until(pool, lambda stats: stats.busy == 1)
        call.cancel()
        await until(pool, lambda stats: stats.late_replies > 0)
        assert await pool.call("same", {"value": 1}) == 1


async def test_memory_that_was_never_given_is_not_heeded() -> None:
    async with pool_of("argv") as pool:
        assert await pool.call("claim", {"size": 10**12}) == {"in": "JSON"}
        assert await pool.call("same", {"value": 1}) == 1


# numpy is nobody's business


def test_without_an_array_nobody_imports_numpy() -> None:
    run(
        "import sys, pool, bridge.memory\n"
        "from bridge.messages.memory.arrays import is_array, types_taken\n"
        "assert types_taken() == ['bytes', 'ndarray'] and not is_array(b'')\n"
        "assert 'numpy' not in sys.modules\n"
    )


def test_where_there_is_no_numpy_no_arrays_are_taken() -> None:
    run(
        "import sys\nsys.modules['numpy'] = None\n"
        "from bridge.messages.memory.arrays import hook, is_array, types_taken\n"
        "assert types_taken() == ['bytes'] and not is_array(b'')\n"
        "assert hook(int, [1]) == [1]\n"
    )


def run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
