"""More than one call at a time, for a pool that said so in its handshake."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.raw_client import RawClient
from tests.processes import go_on, stop

AT_ONCE = 8


@pytest.fixture
def faulty() -> Iterator[RawClient]:
    with RawClient("bridge.faulty") as client:
        yield client.shake_hands(AT_ONCE)


@pytest.fixture
def kinds() -> Iterator[RawClient]:
    with RawClient("tests.contract.bridges:kinds") as client:
        yield client.shake_hands(AT_ONCE)


@pytest.fixture
def two() -> Iterator[RawClient]:
    with RawClient("bridge.faulty") as client:
        yield client.shake_hands(2)


def replies(client: RawClient, count: int) -> dict[int, Any]:
    """The next replies by their ids; all of calls that succeeded."""
    read = [client.read() for _ in range(count)]
    assert all(reply["success"] for reply in read), read
    return {reply["id"]: reply["result"] for reply in read}


# Running


def test_plain_commands_run_on_threads_of_their_own(faulty: RawClient) -> None:
    sent = [faulty.send("meet", {"number": AT_ONCE}) for _ in range(AT_ONCE)]
    found = replies(faulty, AT_ONCE)
    assert found.keys() == set(sent)
    threads = {result["thread"] for result in found.values()}
    assert threads == {f"bridge-call-{i}" for i in range(1, AT_ONCE + 1)}


def test_async_commands_are_tasks_on_the_main_thread(faulty: RawClient) -> None:
    sent = [faulty.send("ameet", {"number": AT_ONCE}) for _ in range(AT_ONCE)]
    found = replies(faulty, AT_ONCE)
    assert found.keys() == set(sent)
    assert {result["thread"] for result in found.values()} == {"MainThread"}


def test_threads_are_made_on_demand(faulty: RawClient) -> None:
    for _ in range(3):
        assert faulty.result("meet", {"number": 1}) == {"thread": "bridge-call-1"}
        assert faulty.result("ping")["status"] == "ok"  # the end of that call is known


def test_one_call_at_a_time_is_what_nobody_else_asks_for() -> None:
    with RawClient("tests.contract.bridges:kinds") as client:
        client.shake_hands(1)
        assert client.result("where") == {"main": True, "own_loop": 42}


def test_replies_leave_as_they_are_ready(faulty: RawClient) -> None:
    slow = [faulty.send("swallow", {"seconds": 60}), faulty.send("meet", {"number": 2})]
    quick = [faulty.send(command) for command in ("echo", "aecho")]
    assert replies(faulty, 2).keys() == set(quick)
    faulty.tell("$cancel", {"id": slow[0]})
    assert replies(faulty, 1).keys() == {slow[0]}
    other = faulty.send("meet", {"number": 2})
    assert replies(faulty, 2).keys() == {slow[1], other}


def test_more_calls_than_were_announced_wait_for_their_turn(two: RawClient) -> None:
    first = two.send("meet", {"number": 2})
    held = two.send("linger", {"seconds": 60})
    second = two.send("meet", {"number": 2})
    third = two.send("aecho")
    assert two.result("ping")["status"] == "ok"
    assert two.is_silent(0.05)
    two.tell("$cancel", {"id": held})
    answered = {two.read()["id"] for _ in range(4)}
    assert answered == {first, second, third, held}


def test_a_ping_is_answered_at_once(two: RawClient) -> None:
    held = [two.send("meet", {"number": 3}) for _ in range(2)]
    assert two.result("ping")["status"] == "ok"
    two.shake_hands(5)  # one that comes late changes nothing
    two.send("meet", {"number": 3})
    assert two.result("ping")["status"] == "ok"
    assert held


def test_a_bridges_own_ping_is_answered_at_once() -> None:
    with RawClient("bridge.dspy_bridge") as client:
        client.shake_hands(2)
        assert client.result("ping")["dspy_available"] is True


@pytest.mark.parametrize("concurrency", [0, -1, "many", 1.5])
def test_a_concurrency_that_makes_no_sense_is_refused(concurrency: object) -> None:
    with RawClient("bridge.echo") as client:
        reply = client.ask("ping", {"initialization": True, "concurrency": concurrency})
        assert reply["error_type"] == "ArgumentError"


def test_each_call_has_a_context_of_its_own(kinds: RawClient) -> None:
    sent = {kinds.send("session", {"session_id": name}): name for name in "abcdefgh"}
    found = replies(kinds, len(sent))
    assert {call: result["session"] for call, result in found.items()} == sent


def test_what_start_up_put_in_the_context_is_there(kinds: RawClient) -> None:
    assert kinds.result("inherited") == {"inherited": "from start-up"}
    assert kinds.result("ainherited") == {"inherited": "from start-up"}


def test_what_a_call_defines_is_in_its_own_reply(faulty: RawClient) -> None:
    keys = {faulty.send("make", {"key": f"k{i}"}): f"k{i}" for i in range(AT_ONCE)}
    read = [faulty.read() for _ in keys]
    assert {reply["id"]: reply["define"]["key"] for reply in read} == keys


def test_tasks_that_commands_left_behind_go_on(kinds: RawClient) -> None:
    before = kinds.result("ticks")["ticks"]
    assert any(kinds.result("ticks")["ticks"] > before for _ in range(1000))
    assert kinds.result("loops") == {"loops": 1}


def test_an_exception_is_a_failure_reply(faulty: RawClient) -> None:
    for _ in range(3):
        reply = faulty.ask("fail", {"message": "no luck"})
        assert (reply["error"], reply["error_type"]) == ("no luck", "ValueError")
        assert reply["traceback"].count("File") == 1
    assert faulty.ask("unencodable")["error_type"] == "Unsendable"
    assert faulty.ask("nope")["error"] == "Unknown command: nope"


def test_nonsense_gets_an_error_reply(faulty: RawClient) -> None:
    faulty.write(b"nonsense")
    assert faulty.read()["error_type"] == "BadRequest"


# Frames


def test_replies_of_one_turn_leave_in_one_write(faulty: RawClient) -> None:
    faulty.result("aecho")
    stop(faulty.process.pid)
    for _ in range(5):
        faulty.send("aecho")
    go_on(faulty.process.pid)
    assert faulty.read_once().count(b'"success":true') == 5


def test_long_replies_of_many_threads_stay_whole(faulty: RawClient) -> None:
    sizes = {faulty.send("big_result", {"size": 200_000 + i}): 200_000 + i for i in range(AT_ONCE)}
    streams = [faulty.send(command, {"n": 500}) for command in ("trail", "atrail")]
    numbers: dict[int, list[int]] = {call: [] for call in streams}
    found: dict[int, Any] = {}
    while len(found) < len(sizes) + len(streams):
        frame = faulty.read()
        if "event" in frame:
            numbers[frame["id"]].append(frame["data"])
        else:
            found[frame["id"]] = frame["result"]
    assert {call: len(found[call]["text"]) for call in sizes} == sizes
    assert numbers == {call: list(range(500)) for call in streams}


@pytest.mark.parametrize("command", ["big_result", "atrail"])
@pytest.mark.parametrize("ending", ["SIGTERM", "end of file"])
def test_it_ends_though_nobody_reads(faulty: RawClient, command: str, ending: str) -> None:
    for _ in range(AT_ONCE):
        faulty.send(command, {"big_result": {"size": 1_000_000}, "atrail": {"n": 10**9}}[command])
    faulty.read_once()
    if ending == "SIGTERM":
        faulty.process.send_signal(signal.SIGTERM)
    else:
        faulty.close_stdin()
    assert faulty.process.wait(4) == 0


def test_a_reader_that_takes_its_time_gets_everything(faulty: RawClient) -> None:
    faulty.send("big_result", {"size": 1_000_000})
    faulty.process.send_signal(signal.SIGTERM)
    assert len(faulty.read()["result"]["text"]) == 1_000_000
    assert faulty.at_end_of_output()
    assert faulty.process.wait(1) == 0


# The end


@pytest.mark.parametrize("command", ["nap", "anap"])
def test_sigterm_lets_calls_finish_and_takes_no_more(kinds: RawClient, command: str) -> None:
    running = [kinds.send(command, {"seconds": 0.3}) for _ in range(2)]
    assert [kinds.line() for _ in running] == ["napping"] * 2
    stop(kinds.process.pid)
    running.append(kinds.send("session"))
    kinds.process.send_signal(signal.SIGTERM)
    go_on(kinds.process.pid)
    answered = [kinds.read()["id"]]
    while running[2] not in answered:
        answered.append(kinds.read()["id"])
    kinds.send("session")
    answered += [kinds.read()["id"] for _ in running[len(answered) :]]
    assert set(answered) == set(running)
    assert kinds.at_end_of_output()
    assert kinds.process.wait(1) == 0


def test_what_was_sent_before_a_blocked_loop_sees_sigterm_is_answered(kinds: RawClient) -> None:
    sent = [kinds.send("block", {"seconds": 0.2})]
    assert kinds.line() == "napping"
    kinds.process.send_signal(signal.SIGTERM)
    assert kinds.is_silent(0.05)  # and the signal is delivered
    sent.append(kinds.send("session"))
    assert replies(kinds, 2).keys() == set(sent)
    assert kinds.at_end_of_output()


def test_sigterm_ends_an_idle_bridge_at_once(faulty: RawClient) -> None:
    faulty.result("meet", {"number": 1})
    faulty.process.send_signal(signal.SIGTERM)
    assert faulty.at_end_of_output()
    assert faulty.process.wait(0.5) == 0


def test_a_call_can_be_cancelled_after_sigterm(faulty: RawClient) -> None:
    sent = faulty.send("linger", {"seconds": 60})
    assert faulty.line() == "faulty: waits"
    faulty.process.send_signal(signal.SIGTERM)
    faulty.tell("$cancel", {"id": sent})
    assert faulty.read()["error_type"] == "Cancelled"
    assert faulty.process.wait(1) == 0


@pytest.mark.parametrize("command", ["sleep", "asleep"])
def test_end_of_file_ends_it_within_a_second(faulty: RawClient, command: str) -> None:
    for _ in range(2):
        faulty.send(command, {"seconds": 60})
    faulty.result("ping")
    faulty.close_stdin()
    assert faulty.process.wait(1.5) == 0


def test_what_was_sent_before_end_of_file_is_answered(two: RawClient) -> None:
    sent = [two.send("echo") for _ in range(5)]
    two.close_stdin()
    assert replies(two, 5).keys() == set(sent)
    assert two.at_end_of_output()
    assert two.process.wait(0.5) == 0


@pytest.mark.parametrize("command", ["sleep", "asleep"])
def test_shutdown_lets_running_calls_finish_for_a_while(faulty: RawClient, command: str) -> None:
    short = faulty.send(command, {"seconds": 0.2})
    faulty.send(command, {"seconds": 60})
    assert faulty.result("shutdown")["status"] == "shutting_down"
    assert replies(faulty, 1).keys() == {short}
    assert faulty.process.wait(1.5) == 0


def test_shutdown_of_an_idle_bridge_takes_no_time(faulty: RawClient) -> None:
    faulty.result("meet", {"number": 1})
    stop(faulty.process.pid)
    sent = faulty.send("shutdown")
    faulty.send("aecho")
    go_on(faulty.process.pid)
    assert faulty.read()["id"] == sent
    assert faulty.at_end_of_output()
    assert faulty.process.wait(0.5) == 0


@pytest.mark.parametrize("ending", ["shutdown", "SIGTERM"])
def test_what_a_command_left_behind_does_not_hold_up_the_end(kinds: RawClient, ending: str) -> None:
    kinds.result("leave_stubborn_work")
    if ending == "SIGTERM":
        kinds.process.send_signal(signal.SIGTERM)
    else:
        kinds.result("shutdown")
    assert kinds.process.wait(2) == 0


@pytest.mark.parametrize(
    ("command", "args"), [("crash", {"way": "exception"}), ("acrash", {"status": 3})]
)
def test_a_command_may_end_the_process(faulty: RawClient, command: str, args: Any) -> None:
    faulty.result("meet", {"number": 1})
    faulty.send("linger", {"seconds": 60})
    faulty.send("linger", batch=[{"seconds": 60}] * 100)
    faulty.send("trail", {"n": 1}, credit=0)
    faulty.send(command, args)
    assert faulty.at_end_of_output()
    assert faulty.process.wait(0.5) == 3


def test_a_command_may_end_the_process_while_others_cannot_end(faulty: RawClient) -> None:
    faulty.send("sleep", {"seconds": 60})
    faulty.send("crash", {"way": "exception"})
    assert faulty.at_end_of_output()
    assert faulty.process.wait(1.5) == 3


@pytest.mark.parametrize("command", ["interrupt", "ainterrupt"])
def test_what_is_no_exception_of_a_program_ends_the_process(kinds: RawClient, command: str) -> None:
    kinds.send(command)
    assert kinds.at_end_of_output()
    assert kinds.process.wait(1.5) == 1
    assert "Unexpected: it is over" in kinds.stderr()


# One at a time


def test_what_comes_during_an_async_call_waits_in_order() -> None:
    with RawClient("tests.contract.bridges:kinds") as client:
        client.shake_hands(1)
        sent = [client.send("anap", {"seconds": 0.1})]
        assert client.line() == "napping"
        sent += [client.send("session"), client.send("ping"), client.send("nap", {"seconds": 0})]
        client.write(b"nonsense")
        sent.append(client.send("anap", {"seconds": 0}))
        assert [client.read()["id"] for _ in range(6)] == [*sent[:4], None, sent[4]]


def test_end_of_file_during_an_async_call_lets_it_finish() -> None:
    with RawClient("tests.contract.bridges:kinds") as client:
        client.shake_hands(1)
        client.send("anap", {"seconds": 0.2})
        assert client.line() == "napping"
        client.send("session")
        client.close_stdin()
        assert replies(client, 2).keys() == {1, 2}
        assert client.at_end_of_output()
        assert client.process.wait(1) == 0


def test_a_handshake_with_more_behind_it() -> None:
    with RawClient("bridge.faulty") as client:
        stop(client.process.pid)
        ping = {"initialization": True, "concurrency": 2}
        client.write(json.dumps({"id": 0, "command": "ping", "args": ping}).encode())
        sent = {client.send("meet", {"number": 2}) for _ in range(2)}
        go_on(client.process.pid)
        assert client.read()["id"] == 0
        assert replies(client, 2).keys() == sent
