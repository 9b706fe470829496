"""What holds for every bridge, ours and foreign, by hand and in a pool."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pool import RemoteError, WorkerPool
from tests.contract.pools import WAYS, make_pool
from tests.contract.raw_client import RawClient

BRIDGES = ["bridge.echo", "bridge.faulty", "bridge.dspy_bridge", "tests.contract.bridges:kinds"]
PLAIN = str(Path(__file__).parent / "foreign_plain.py")


@pytest.mark.parametrize("bridge", BRIDGES)
def test_every_bridge_of_ours_keeps_the_wire(bridge: str) -> None:
    with RawClient(bridge, "--mode", "pool-worker", "--worker-id", "w7") as client:
        client.write(b'{"id":0,"command":"ping","args":{"initialization":true,"worker_id":"w7"}}')
        reply = client.read()
        assert (reply["id"], reply["success"], reply["result"]["worker_id"]) == (0, True, "w7")
        client.write(b"nonsense")
        assert client.read()["success"] is False
        assert client.ask("no_such_command")["error"] == "Unknown command: no_such_command"
        assert client.result("ping", {"anything": [1]})["status"] == "ok"
        assert client.result("shutdown")["status"] == "shutting_down"
        assert client.process.wait(20) == 0


@pytest.mark.parametrize("launcher", WAYS)
@pytest.mark.parametrize("bridge", BRIDGES)
async def test_every_bridge_of_ours_serves_in_a_pool(launcher: str, bridge: str) -> None:
    async with make_pool(launcher, bridge) as pool:
        await serves(pool)


async def test_a_foreign_bridge_serves_in_a_pool() -> None:
    async with WorkerPool(argv=[sys.executable, PLAIN], size=2) as pool:
        await serves(pool)


async def serves(pool: WorkerPool) -> None:
    await pool.wait_ready()
    assert (await pool.call("ping"))["status"] == "ok"
    with pytest.raises(RemoteError, match="Unknown command: no_such_command"):
        await pool.call("no_such_command")
    async with pool.checkout() as worker:
        assert (await worker.call("ping"))["status"] == "ok"
    assert (pool.stats().idle, pool.stats().worker_exits) == (2, {})
