"""A pool belongs to the process that opened it."""

from __future__ import annotations

import asyncio
import os

from pool import PoolClosed
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
