"""Credit: a stream sends as many items as it was told that it may, and waits for more."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.contract.raw_client import RawClient
from tests.processes import go_on, stop

STREAMS = ["trail", "atrail"]
FAULTY = "bridge.faulty"
LONG = 0.05
"""Seconds of silence after which nothing more is expected."""


@pytest.fixture(params=[1, 8])
def faulty(request: pytest.FixtureRequest) -> Iterator[RawClient]:
    with RawClient(FAULTY) as client:
        yield client.shake_hands(request.param)


@pytest.fixture
def concurrent() -> Iterator[RawClient]:
    with RawClient(FAULTY) as client:
        yield client.shake_hands(8)


def grant(client: RawClient, call: int, items: int) -> None:
    client.tell("$credit", {"id": call, "items": items})


def items(client: RawClient, count: int) -> list[object]:
    return [client.read()["data"] for _ in range(count)]


@pytest.mark.parametrize("command", STREAMS)
def test_a_stream_sends_what_it_may_and_no_more(faulty: RawClient, command: str) -> None:
    sent = faulty.send(command, {"n": 5}, credit=2)
    assert items(faulty, 2) == [0, 1]
    assert faulty.is_silent(LONG)
    grant(faulty, sent, 1)
    assert items(faulty, 1) == [2]
    assert faulty.is_silent(LONG)
    grant(faulty, sent, 1)
    grant(faulty, sent, 5)
    assert items(faulty, 2) == [3, 4]
    assert faulty.read()["result"] == {"items": 5}


@pytest.mark.parametrize("command", STREAMS)
def test_the_reply_needs_no_credit(faulty: RawClient, command: str) -> None:
    faulty.send(command, {"n": 2}, credit=2)
    assert items(faulty, 2) == [0, 1]
    assert faulty.read()["result"] == {"items": 2}


@pytest.mark.parametrize("command", STREAMS)
def test_a_stream_without_credit_waits_for_its_first_item_to_be_wanted(
    faulty: RawClient, command: str
) -> None:
    sent = faulty.send(command, {"n": 1}, credit=0)
    assert faulty.is_silent(LONG)
    grant(faulty, sent, 1)
    assert items(faulty, 1) == [0]
    assert faulty.read()["success"]


@pytest.mark.parametrize("command", STREAMS)
def test_credit_is_kept_for_a_stream_that_has_not_begun(faulty: RawClient, command: str) -> None:
    stop(faulty.process.pid)
    faulty.send("echo")
    sent = faulty.send(command, {"n": 2}, credit=1)
    grant(faulty, sent, 1)
    go_on(faulty.process.pid)
    events, first = faulty.until_reply()
    more, last = faulty.until_reply()
    assert [event["data"] for event in events + more] == [0, 1]
    assert first["success"]
    assert last["success"]


def test_credit_for_a_stream_that_has_none_to_use_up_means_nothing(faulty: RawClient) -> None:
    sent = faulty.send("atrail", {"n": 3, "delay": 0.01})
    grant(faulty, sent, 1)
    assert len(faulty.until_reply()[0]) == 3


@pytest.mark.parametrize("command", STREAMS)
def test_a_stream_that_waits_can_be_cancelled(faulty: RawClient, command: str) -> None:
    sent = faulty.send(command, {"n": 5}, credit=1)
    assert items(faulty, 1) == [0]
    faulty.tell("$cancel", {"id": sent})
    assert faulty.read()["error_type"] == "Cancelled"
    assert faulty.result("traces") == {"traces": [command]}


@pytest.mark.parametrize("command", STREAMS)
def test_end_of_file_ends_the_wait(faulty: RawClient, command: str) -> None:
    faulty.send(command, {"n": 5}, credit=1)
    assert items(faulty, 1) == [0]
    faulty.close_stdin()
    assert faulty.read()["error_type"] == "Cancelled"
    assert faulty.at_end_of_output()
    assert faulty.process.wait(1) == 0
    assert faulty.stderr() == f"faulty: {command} ends\n"


@pytest.mark.parametrize("command", STREAMS)
def test_sigterm_ends_the_wait(faulty: RawClient, command: str) -> None:
    faulty.send(command, {"n": 5}, credit=1)
    assert items(faulty, 1) == [0]
    faulty.process.send_signal(signal.SIGTERM)
    reply = faulty.read()
    assert reply["error_type"] == "Cancelled"
    assert "the bridge ends" in reply["error"]
    assert faulty.at_end_of_output()
    assert faulty.process.wait(1) == 0


@pytest.mark.parametrize("command", STREAMS)
@pytest.mark.parametrize("waits_already", [True, False])
def test_credit_that_was_sent_before_sigterm_counts(
    faulty: RawClient, command: str, waits_already: bool
) -> None:
    sent = faulty.send(command, {"n": 3}, credit=1)
    assert items(faulty, 1) == [0]
    if waits_already:
        assert faulty.is_silent(LONG)
    stop(faulty.process.pid)
    grant(faulty, sent, 1)
    faulty.process.send_signal(signal.SIGTERM)
    go_on(faulty.process.pid)
    assert items(faulty, 1) == [1]
    assert faulty.read()["error_type"] == "Cancelled"


def test_streams_that_wait_hold_up_nobody(concurrent: RawClient) -> None:
    plain = concurrent.send("trail", {"n": 2}, credit=0)
    on_loop = concurrent.send("atrail", {"n": 2}, credit=0)
    assert concurrent.result("ping")["status"] == "ok"
    assert concurrent.result("echo", {"a": 1}) == {"a": 1}
    assert concurrent.result("aecho", {"a": 1}) == {"a": 1}
    for call in (on_loop, plain):
        grant(concurrent, call, 2)
        events, reply = concurrent.until_reply()
        assert [event["id"] for event in events] == [call, call]
        assert reply["id"] == call


@pytest.mark.parametrize("credit", ["-1", "1.5", '"all"'])
def test_a_credit_is_a_number(faulty: RawClient, credit: str) -> None:
    faulty.write(b'{"id":7,"command":"trail","args":{"n":1},"credit":%s}' % credit.encode())
    reply = faulty.read()
    assert (reply["id"], reply["error_type"]) == (7, "BadRequest")
