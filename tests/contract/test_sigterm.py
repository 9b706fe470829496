"""SIGTERM from outside: a bridge answers what it was sent before, and is sent nothing more."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.contract.pools import WAYS, make_pool, until
from tests.contract.raw_client import RawClient
from tests.processes import go_on, stop


@pytest.fixture
def client() -> Iterator[RawClient]:
    """Of a bridge that has started."""
    with RawClient("tests.contract.bridges:kinds") as made:
        made.result("nap", {"seconds": 0})
        assert heard(made) == "napping"
        yield made


def heard(client: RawClient) -> str:
    assert client.process.stderr is not None
    return client.process.stderr.readline().decode().strip()


def terminate(client: RawClient) -> None:
    client.process.send_signal(signal.SIGTERM)


def test_requests_that_have_arrived_are_answered(client: RawClient) -> None:
    stop(client.process.pid)
    client.send("ping")
    client.send("session")
    terminate(client)
    go_on(client.process.pid)
    assert [client.read()["success"] for _ in range(2)] == [True, True]
    assert client.at_end_of_output()
    assert client.process.wait(1) == 0


def test_one_that_has_arrived_in_part_is_not_waited_for(client: RawClient) -> None:
    stop(client.process.pid)
    assert client.process.stdin is not None
    client.process.stdin.write(b"\0\0\1\0{")
    client.process.stdin.flush()
    terminate(client)
    go_on(client.process.pid)
    assert client.at_end_of_output()
    assert client.process.wait(1) == 0


@pytest.mark.parametrize("command", ["nap", "anap"])
def test_a_busy_sender_does_not_keep_it_from_ending(client: RawClient, command: str) -> None:
    client.send(command, {"seconds": 0.3})
    assert heard(client) == "napping"
    terminate(client)
    during_the_first = client.send(command, {"seconds": 0.1})
    client.read()
    assert heard(client) == "napping"
    client.send(command, {"seconds": 0})
    assert client.read()["id"] == during_the_first
    assert client.at_end_of_output()
    assert client.process.wait(1) == 0


def test_one_that_has_not_started_does_not_begin_to() -> None:
    with RawClient("tests.contract.terminated_import") as client:
        client.send("ping", {"initialization": True})
        assert client.at_end_of_output()
        assert client.process.wait(1) == 0


def test_it_hangs_up_before_it_begins_to_end(client: RawClient) -> None:
    client.result("leave_stubborn_work")
    terminate(client)
    assert client.at_end_of_output()
    with pytest.raises(subprocess.TimeoutExpired):
        client.process.wait(0.2)


@pytest.mark.parametrize("launcher", WAYS)
async def test_a_call_that_was_sent_before_succeeds(
    launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pool.worker.closing.EXIT_WAIT", 30.0)  # others need the processors too
    async with make_pool(launcher, size=1) as pool:
        assert await pool.call("echo", {"a": 1}) == {"a": 1}
        worker = pool.stats().workers[0].pid or 0
        stop(worker)
        call = asyncio.ensure_future(pool.call("echo", {"a": 2}))
        await until(pool, lambda stats: stats.inflight_calls == 1)
        os.kill(worker, signal.SIGTERM)
        go_on(worker)
        assert await call == {"a": 2}
        stats = await until(pool, lambda stats: bool(stats.worker_exits))
        assert (stats.worker_exits, stats.failed_starts) == ({"crash": 1}, 0)
        assert await pool.call("echo", {"a": 3}) == {"a": 3}
