"""The bridge's side of the wire, driven by hand: every rule of the protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.raw_client import RawClient

KINDS = "tests.contract.bridges:kinds"
WORKER = ("--mode", "pool-worker", "--worker-id", "w1")


@pytest.fixture
def echo() -> Iterator[RawClient]:
    with RawClient("bridge.echo", *WORKER) as client:
        yield client


@pytest.fixture
def kinds() -> Iterator[RawClient]:
    with RawClient(KINDS, *WORKER) as client:
        yield client


@pytest.fixture
def faulty() -> Iterator[RawClient]:
    with RawClient("bridge.faulty", *WORKER) as client:
        yield client


# Requests and replies


def test_the_handshake_says_who_answers(echo: RawClient) -> None:
    echo.write(b'{"id":0,"command":"ping","args":{"initialization":true,"worker_id":"w1"}}')
    reply = echo.read()
    assert (reply["id"], reply["success"]) == (0, True)
    assert isinstance(reply["timestamp"], float)
    result = reply["result"]
    assert (result["status"], result["mode"], result["worker_id"]) == ("ok", "pool-worker", "w1")
    assert result["uptime"] >= 0
    assert result["capabilities"] == ["concurrent", "cancel", "credit", "batch"]


def test_standalone_is_the_default_mode() -> None:
    with RawClient("bridge.echo") as client:
        assert client.result("ping")["mode"] == "standalone"


def test_echo_returns_arguments_as_they_came(echo: RawClient) -> None:
    args = {
        "float": 1.0,
        "big": 10**30,
        "text": "žš\u0000",
        "deep": [[{"a": None}]],
        "session_id": "s",
    }
    assert echo.result("echo", args) == args
    assert echo.result("aecho", args) == args


def test_args_may_be_absent_or_null_and_other_members_are_ignored(echo: RawClient) -> None:
    echo.write(b'{"id":7,"command":"echo","timestamp":"2025-01-01","traceparent":"x"}')
    assert echo.read()["result"] == {}
    assert echo.result("echo", None) == {}


def test_a_bad_argument_is_named_and_nothing_runs(echo: RawClient) -> None:
    reply = echo.ask("sleep", {"seconds": "long", "more": 1})
    assert not reply["success"]
    assert reply["error_type"] == "ArgumentError"
    assert {detail["path"] for detail in reply["details"]} == {"seconds", "more"}


def test_session_id_is_accepted_by_every_command(echo: RawClient, kinds: RawClient) -> None:
    assert "pid" in echo.result("pid", {"session_id": "s"})
    assert kinds.result("session", {"session_id": "s"}) == {"session": "s"}
    assert kinds.result("session") == {"session": "anonymous"}


def test_an_exception_is_a_failure_reply(echo: RawClient) -> None:
    reply = echo.ask("fail", {"message": "no luck"})
    assert (reply["success"], reply["error_type"]) == (False, "ValueError")
    assert reply["error"] == "no luck"
    assert "raise ValueError(message)" in reply["traceback"]
    assert "serve.py" not in reply["traceback"]
    assert echo.result("echo", {}) == {}


def test_an_unknown_command_is_said_so(echo: RawClient) -> None:
    reply = echo.ask("nope")
    assert (reply["error"], reply["error_type"]) == ("Unknown command: nope", "UnknownCommand")
    assert "echo" in reply["details"]["commands"]


@pytest.mark.parametrize("value", [1, "text", [1, 2], None, True])
def test_a_result_that_is_no_object_is_wrapped(kinds: RawClient, value: object) -> None:
    reply = kinds.ask("scalar", {"value": value})
    assert (reply["wrapped"], reply["result"]) == (True, {"value": value})


def test_nan_and_infinity_never_leave_the_bridge(kinds: RawClient) -> None:
    assert kinds.result("not_a_number") == {"nan": None, "inf": None}


@pytest.mark.parametrize("command", ["endless", "unencodable"])
def test_a_result_that_cannot_be_encoded_is_an_error_reply(command: str) -> None:
    target = KINDS if command == "endless" else "bridge.faulty"
    with RawClient(target) as client:
        assert client.ask(command)["success"] is False
        assert client.result("ping")["status"] == "ok"


def test_a_result_too_large_for_a_frame_is_an_error_reply() -> None:
    with RawClient("bridge.faulty", "--max-frame-bytes", "4096") as client:
        reply = client.ask("big_result", {"size": 5000})
        assert reply["error_type"] == "ResultTooLarge"
        assert len(client.result("big_result", {"size": 3000})["text"]) == 3000


@pytest.mark.parametrize(
    ("frame", "call_id"),
    [
        (b"not json", None),
        (b"[1]", None),
        (b'{"id": 5}', 5),
        (b'{"id": 6, "command": 7}', 6),
        (b'{"id": "x", "command": "echo"}', None),
        (b'{"id": 8, "command": "echo", "args": [1]}', 8),
        (b"[" * 100_000, None),
        (b"\xff\xfe", None),
        (b"", None),
    ],
)
def test_a_frame_that_is_no_request_gets_an_error_reply(
    echo: RawClient, frame: bytes, call_id: int | None
) -> None:
    echo.write(frame)
    reply = echo.read()
    assert (reply["id"], reply["success"]) == (call_id, False)
    assert echo.result("echo", {"still": "there"}) == {"still": "there"}


def test_a_frame_over_the_limit_is_refused_and_the_bridge_lives_on() -> None:
    with RawClient("bridge.echo", "--max-frame-bytes", "1024") as client:
        client.write(b"x" * 5000)
        reply = client.read()
        assert (reply["id"], reply["error_type"]) == (None, "FrameTooLarge")
        assert client.result("echo", {"a": 1}) == {"a": 1}


def test_streams_reach_the_wire_item_by_item(echo: RawClient, kinds: RawClient) -> None:
    sent = echo.send("count", {"n": 2})
    items = [echo.read(), echo.read()]
    assert items == [{"id": sent, "event": "item", "data": {"i": i}} for i in (0, 1)]
    assert echo.read()["success"]
    kinds.send("letters", {"word": "a!"})
    assert kinds.read()["data"] == "a"
    assert kinds.read()["error"] == "no shouting"


# How commands run


def test_plain_commands_run_on_the_main_thread_outside_any_loop(kinds: RawClient) -> None:
    assert kinds.result("where") == {"main": True, "own_loop": 42}


def test_async_commands_share_one_loop_that_turns_between_calls(kinds: RawClient) -> None:
    for _ in range(3):
        assert kinds.result("loops") == {"loops": 1}
    before = kinds.result("ticks")["ticks"]
    assert any(kinds.result("ticks")["ticks"] > before for _ in range(1000))


def test_start_up_runs_once_with_the_options_of_the_handshake(kinds: RawClient) -> None:
    kinds.ask("ping", {"initialization": True, "options": {"greeting": "hello"}})
    assert kinds.result("started") == {"started": ["hello"]}
    kinds.ask("ping", {"initialization": True, "options": {"greeting": "again"}})
    assert kinds.result("started") == {"started": ["hello"]}


def test_start_up_runs_before_the_first_command_of_a_client_without_handshake(
    kinds: RawClient,
) -> None:
    assert kinds.result("ping")["status"] == "ok"
    assert kinds.result("started") == {"started": ["none"]}


def test_options_that_do_not_fit_fail_the_handshake(kinds: RawClient) -> None:
    reply = kinds.ask("ping", {"initialization": True, "options": {"greeting": 5}})
    assert "greeting" in reply["error"]
    assert kinds.process.wait(10) == 1


def test_a_start_up_that_raises_is_reported_and_ends_the_process() -> None:
    with RawClient("tests.contract.bridges:failing") as client:
        reply = client.ask("ping", {"initialization": True})
        assert (reply["success"], reply["error"]) == (False, "the weights are missing")
        assert client.process.wait(10) == 1
        assert "the weights are missing" in client.stderr()


# The wire's descriptors


def test_nothing_that_is_printed_reaches_the_wire(faulty: RawClient) -> None:
    assert faulty.result("print_on_stdout", {"text": "hello"}) == {"printed": "hello"}
    faulty.result("shutdown")
    said = faulty.stderr()
    for way in ("python", "descriptor", "c", "child"):
        assert f"{way}: hello" in said


def test_stdin_is_the_null_device_for_user_code(kinds: RawClient) -> None:
    assert kinds.result("read_stdin") == {"read": ""}
    assert kinds.result("run_child") == {"status": 0}


# The end


def test_shutdown_is_acknowledged_then_the_process_exits_0(echo: RawClient) -> None:
    result = echo.result("shutdown")
    assert result == {"status": "shutting_down", "worker_id": "w1", "mode": "pool-worker"}
    assert echo.process.wait(5) == 0


def test_end_of_file_ends_an_idle_bridge(echo: RawClient) -> None:
    echo.result("ping")
    echo.close_stdin()
    assert echo.process.wait(1) == 0


@pytest.mark.parametrize("command", ["sleep", "asleep"])
def test_end_of_file_ends_a_busy_bridge_within_a_second(echo: RawClient, command: str) -> None:
    echo.result("ping")
    echo.send(command, {"seconds": 60})
    echo.close_stdin()
    assert echo.process.wait(1.5) == 0


def test_what_was_sent_before_end_of_file_is_answered(echo: RawClient) -> None:
    for i in range(5):
        echo.send("echo", {"i": i})
    echo.close_stdin()
    assert [echo.read()["result"]["i"] for _ in range(5)] == list(range(5))
    assert echo.at_end_of_output()


def test_end_of_file_during_the_import_ends_the_bridge() -> None:
    with RawClient("tests.contract.slow_import") as client:
        assert client.process.stderr is not None
        assert client.process.stderr.readline() == b"importing\n"
        client.close_stdin()
        assert client.process.wait(1.5) == 0


def test_sigterm_ends_an_idle_bridge_at_once(echo: RawClient) -> None:
    echo.result("ping")
    echo.process.send_signal(signal.SIGTERM)
    assert echo.process.wait(1) == 0


@pytest.mark.parametrize("ending", ["shutdown", "SIGTERM"])
def test_what_a_command_left_behind_does_not_hold_up_the_end(kinds: RawClient, ending: str) -> None:
    kinds.result("leave_stubborn_work")
    if ending == "SIGTERM":
        kinds.process.send_signal(signal.SIGTERM)
    else:
        kinds.result("shutdown")
    assert kinds.process.wait(2) == 0


def test_a_cancelled_command_is_an_error_reply(kinds: RawClient) -> None:
    assert kinds.ask("cancel_itself")["error_type"] == "Cancelled"
    assert kinds.result("ping")["status"] == "ok"


def test_an_error_too_long_for_a_frame_is_reported_in_short() -> None:
    with RawClient("bridge.echo", "--max-frame-bytes", "2048") as client:
        reply = client.ask("sleep", {f"a{i}": 1 for i in range(100)})
        assert reply["error_type"] == "ArgumentError"
        assert client.result("echo", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize("command", ["nap", "anap"])
def test_sigterm_ends_a_busy_bridge_after_its_call(kinds: RawClient, command: str) -> None:
    kinds.result("ping")
    kinds.send(command, {"seconds": 0.3})
    assert kinds.process.stderr is not None
    assert kinds.process.stderr.readline() == b"napping\n"
    kinds.process.send_signal(signal.SIGTERM)
    assert kinds.read()["success"]
    assert kinds.process.wait(1) == 0


def test_sigint_is_ignored(echo: RawClient) -> None:
    echo.result("ping")
    echo.process.send_signal(signal.SIGINT)
    assert echo.result("echo", {"a": 1}) == {"a": 1}


def test_a_reply_that_meets_a_broken_pipe_is_dropped_and_noted(echo: RawClient) -> None:
    echo.result("ping")
    assert echo.process.stdout is not None
    echo.process.stdout.close()
    echo.send("echo", {"a": 1})
    echo.send("echo", {"a": 2})
    assert echo.process.stderr is not None
    assert b"nobody reads" in echo.process.stderr.readline()
    assert echo.process.poll() is None
    echo.close_stdin()
    assert echo.process.wait(1) == 0


# --check


def check(*arguments: str) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "bridge", *arguments, "--check"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=20)
    return done.returncode, json.loads(done.stdout)


def test_check_accepts_a_fit_environment_without_importing_the_target() -> None:
    status, report = check("tests.contract.slow_import", "--requires", "msgspec")
    assert (status, report["ok"], report["problems"]) == (0, True, [])


def test_check_finds_a_target_inside_nested_namespace_packages(tmp_path: Path) -> None:
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    (folder / "target.py").write_text("raise RuntimeError('imported')")
    command = [sys.executable, "-m", "bridge", "outer.inner.target", "--check"]
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}
    done = subprocess.run(command, capture_output=True, check=False, timeout=20, env=env)
    assert json.loads(done.stdout)["problems"] == []


def test_check_lists_every_problem() -> None:
    status, report = check(
        "no.such.module", "--requires", "no-such-distribution", "--requires-env", "NO_SUCH_VARIABLE"
    )
    assert (status, report["ok"]) == (1, False)
    problems = report["problems"]
    assert isinstance(problems, list)
    for word in ("no.such.module", "no-such-distribution", "NO_SUCH_VARIABLE"):
        assert any(word in problem for problem in problems)
