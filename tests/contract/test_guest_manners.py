"""A pool belongs to the process and the event loop that opened it, and prints nothing there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from pool import PoolClosed, WorkerPool
from tests.contract.pools import make_pool


async def test_a_forked_child_may_not_use_the_pool_and_holds_nothing_of_it() -> None:
    async with make_pool("spawn", size=1) as pool:
        await pool.call("echo")
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            said = b"nothing"
            try:
                pool.checkout()
            except PoolClosed as error:
                said = str(error).encode()
            finally:
                os.write(writing, said)
                os._exit(0)
        os.close(writing)
        assert b"opened in another process" in os.read(reading, 1000)
        os.close(reading)
        await asyncio.to_thread(os.waitpid, child, 0)
        assert await pool.call("echo", {"a": 1}) == {"a": 1}


def test_a_pool_used_on_another_event_loop_says_so() -> None:
    async def open_one() -> WorkerPool:
        pool = make_pool("spawn", size=1)
        await pool.open()
        return pool

    async def use(pool: WorkerPool) -> None:
        with pytest.raises(PoolClosed, match="another event loop"):
            await pool.call("echo")

    with asyncio.Runner() as first:
        pool = first.run(open_one())
        with asyncio.Runner() as second:
            second.run(use(pool))
        first.run(pool.aclose())


def test_nothing_is_printed_where_no_logging_is_configured() -> None:
    program = (
        "import asyncio\n"
        "from pool import WorkerPool, BrokenWorkerError\n"
        "async def main():\n"
        "    asyncio.get_running_loop().slow_callback_duration = 60  # the machine may be busy\n"
        "    async with WorkerPool('bridge.faulty', size=1) as pool:\n"
        "        try: await pool.call('crash')\n"
        "        except BrokenWorkerError: print('lost')\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr, done.returncode) == ("lost\n", "", 0)
