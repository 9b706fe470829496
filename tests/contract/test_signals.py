"""Signals other than those that the pool sends, and to other threads than the main one."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.contract.raw_client import RawClient


@pytest.fixture(params=["plain", "with a loop", "concurrent"])
def client(request: pytest.FixtureRequest) -> Iterator[RawClient]:
    """Of a bridge that handles SIGUSR1."""
    with RawClient("bridge.faulty") as made:
        made.shake_hands(8 if request.param == "concurrent" else 1)
        made.result("handle_sigusr1" if request.param == "plain" else "ahandle_sigusr1")
        yield made


def test_sigterm_counts_on_whichever_thread_it_is_delivered(client: RawClient) -> None:
    client.result("get_sigterm_elsewhere")
    assert client.at_end_of_output()
    assert client.process.wait(1) == 0


def test_a_signal_that_a_command_handles_is_nothing_to_the_bridge(client: RawClient) -> None:
    for number in (1, 2):
        client.process.send_signal(signal.SIGUSR1)
        assert client.result("traces") == {"traces": ["SIGUSR1"] * number}
        assert client.is_silent(0.02)
    client.send("trail", {"n": 2}, credit=1)
    assert client.read()["data"] == 0
    client.process.send_signal(signal.SIGUSR1)
    client.tell("$credit", {"id": client.last_id, "items": 1})
    assert client.until_reply()[1]["success"]
    client.process.send_signal(signal.SIGTERM)
    assert client.process.wait(1) == 0


def test_a_signal_does_not_keep_it_busy(client: RawClient) -> None:
    before = client.result("cpu_time")["seconds"]
    client.process.send_signal(signal.SIGUSR1)
    assert client.is_silent(0.3)
    assert client.result("cpu_time")["seconds"] - before < 0.1
