"""`$cancel`: what has not begun, or can be interrupted, ends; each call has one reply."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.raw_client import RawClient
from tests.processes import go_on, stop

FAULTY = "bridge.faulty"
ARGS = {"work": {}, "trail": {"n": 1}, "linger": {"seconds": 60}}


@pytest.fixture(params=[1, 8])
def faulty(request: pytest.FixtureRequest) -> Iterator[RawClient]:
    with RawClient(FAULTY) as client:
        yield client.shake_hands(request.param)


@pytest.fixture
def serial() -> Iterator[RawClient]:
    with RawClient(FAULTY) as client:
        yield client.shake_hands(1)


@pytest.fixture
def concurrent() -> Iterator[RawClient]:
    with RawClient(FAULTY) as client:
        yield client.shake_hands(2)


def cancel(client: RawClient, call: int) -> None:
    client.tell("$cancel", {"id": call})


def at_once(client: RawClient, send: Callable[[], int]) -> int:
    """Have the bridge read in one go all that is sent."""
    stop(client.process.pid)
    sent = send()
    go_on(client.process.pid)
    return sent


def test_an_async_call_is_interrupted(faulty: RawClient) -> None:
    sent = faulty.send("linger", {"seconds": 60})
    assert faulty.line() == "faulty: waits"
    cancel(faulty, sent)
    assert faulty.line() == "faulty: tidies up"
    cancel(faulty, sent)  # which does not interrupt that
    reply = faulty.read()
    assert (reply["id"], reply["error_type"]) == (sent, "Cancelled")
    assert faulty.result("traces") == {"traces": ["linger"]}


def test_one_that_swallows_its_cancellation_has_its_ordinary_reply(faulty: RawClient) -> None:
    sent = faulty.send("swallow", {"seconds": 60})
    assert faulty.line() == "faulty: waits"
    cancel(faulty, sent)
    assert faulty.read()["result"] == {"cancelled": True}
    assert faulty.result("echo", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_plain_call_runs_to_its_end(concurrency: int) -> None:
    with RawClient("tests.contract.bridges:kinds") as client:
        client.shake_hands(concurrency)
        sent = client.send("nap", {"seconds": 0.1})
        assert client.line() == "napping"
        cancel(client, sent)
        reply = client.read()
        assert (reply["id"], reply["success"]) == (sent, True)
        assert client.result("session") == {"session": "anonymous"}


@pytest.mark.parametrize("command", ["trail", "atrail"])
def test_a_stream_is_closed_at_its_next_item(faulty: RawClient, command: str) -> None:
    sent = faulty.send(command, {"n": 1_000_000, "delay": 0.002})
    assert faulty.read()["data"] == 0
    cancel(faulty, sent)
    _, reply = faulty.until_reply()
    assert (reply["id"], reply["error_type"]) == (sent, "Cancelled")
    assert faulty.result("traces") == {"traces": [command]}


@pytest.mark.parametrize("command", ["trail", "arush"])
def test_a_stream_that_never_pauses_is_closed_too(faulty: RawClient, command: str) -> None:
    sent = faulty.send(command, {"n": 10_000_000})
    faulty.read()
    cancel(faulty, sent)
    _, reply = faulty.until_reply()
    assert reply["error_type"] == "Cancelled"


def test_an_async_stream_is_interrupted_between_two_items(faulty: RawClient) -> None:
    sent = faulty.send("atrail", {"n": 2, "delay": 60})
    assert faulty.read()["data"] == 0
    cancel(faulty, sent)
    assert faulty.read()["error_type"] == "Cancelled"
    assert faulty.result("traces") == {"traces": ["atrail"]}


@pytest.mark.parametrize("command", ARGS)
def test_one_that_was_cancelled_before_its_turn_does_not_run(
    serial: RawClient, command: str
) -> None:
    def send() -> int:
        serial.send("echo")
        sent = serial.send(command, ARGS[command])
        cancel(serial, sent)
        return sent

    sent = at_once(serial, send)
    assert serial.read()["success"]
    reply = serial.read()
    assert (reply["id"], reply["error_type"]) == (sent, "Cancelled")
    assert serial.result("work") == {"calls": 1}
    assert serial.result("traces") == {"traces": []}


def test_one_that_was_read_during_another_call_can_be_cancelled(serial: RawClient) -> None:
    serial.send("swallow", {"seconds": 0.1})
    assert serial.line() == "faulty: waits"
    waiting = serial.send("work")
    cancel(serial, waiting)
    assert serial.read()["result"] == {"cancelled": False}
    reply = serial.read()
    assert (reply["id"], reply["error_type"]) == (waiting, "Cancelled")
    assert serial.result("work") == {"calls": 1}


def test_what_a_cancelled_request_tells_of_others_is_learned() -> None:
    with RawClient("tests.contract.bridges:kinds") as client:

        def send() -> int:
            client.send("session")
            news = [{"key": "k", "version": "v", "definition": 1}]
            sent = client.send("session", define=news)
            cancel(client, sent)
            return sent

        client.result("session")
        at_once(client, send)
        assert [client.read()["success"] for _ in range(2)] == [True, False]
        assert client.result("adopted") == {"adopted": ["anonymous: k"]}


@pytest.mark.parametrize("command", ARGS)
@pytest.mark.parametrize("has_been_read", [True, False])
def test_a_queued_call_is_answered_at_once_and_does_not_run(
    concurrent: RawClient, command: str, has_been_read: bool
) -> None:
    running = [concurrent.send("linger", {"seconds": 60}) for _ in range(2)]
    queued = concurrent.send(command, ARGS[command])
    if has_been_read:
        concurrent.result("ping")
    cancel(concurrent, queued)
    reply = concurrent.read()
    assert (reply["id"], reply["error_type"]) == (queued, "Cancelled")
    for call in running:
        cancel(concurrent, call)
    assert {concurrent.read()["id"] for _ in range(2)} == set(running)
    assert concurrent.result("work") == {"calls": 1}
    assert concurrent.result("traces") == {"traces": ["linger", "linger"]}


def test_one_that_was_read_with_its_cancellation_does_not_run(concurrent: RawClient) -> None:
    def send() -> int:
        sent = concurrent.send("work")
        cancel(concurrent, sent)
        return sent

    sent = at_once(concurrent, send)
    reply = concurrent.read()
    assert (reply["id"], reply["error_type"]) == (sent, "Cancelled")
    assert concurrent.result("work") == {"calls": 1}


def test_a_call_that_is_over_or_was_never_made_is_not_cancelled(faulty: RawClient) -> None:
    cancel(faulty, 1)
    assert faulty.result("echo", {"a": 1}) == {"a": 1}
    cancel(faulty, 1)
    cancel(faulty, 2)
    faulty.tell("$credit", {"id": 1, "items": 1})
    assert faulty.result("echo", {"a": 2}) == {"a": 2}


def test_what_is_not_known_without_a_reply_is_noted_once(faulty: RawClient) -> None:
    faulty.tell("$new", {"id": 1})
    faulty.tell("$cancel", {"id": "one"})
    faulty.tell("$credit", {"id": 1, "items": -1})
    assert faulty.result("ping")["status"] == "ok"
    faulty.result("shutdown")
    assert faulty.stderr().splitlines() == [
        "bridge: a request without a reply is ignored: '$new' is not known here"
    ]


def test_other_requests_need_an_id(faulty: RawClient) -> None:
    faulty.tell("echo", {})
    reply = faulty.read()
    assert (reply["id"], reply["error_type"]) == (None, "BadRequest")
    assert "`id`" in reply["error"]
    reply = faulty.ask("$cancel", {"id": 1})
    assert reply["error"] == "Unknown command: $cancel"
