"""The DSPy bridge on the real dspy with its local LM: commands, fields and error texts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.raw_client import RawClient

SCRIPT = Path(__file__).parent / "dspy_by_hand.py"
LOCAL = {"model": "local/echo"}
TYPED = {
    "name": "My.Signature",
    "description": "Label the text.",
    "inputs": [
        {"name": "the text", "type": "string", "description": "what to label"},
        {"name": "limit", "type": "integer"},
    ],
    "outputs": [
        {"name": "labels", "type": "list<string>"},
        {"name": "score", "type": "float"},
        {"name": "kind", "type": "Literal['good', 'bad']"},
        {"name": "2nd", "type": "bool"},
    ],
}


@pytest.fixture(scope="module")
def module_client() -> Iterator[RawClient]:
    with RawClient("bridge.dspy_bridge", "--mode", "pool-worker", "--worker-id", "w1") as client:
        yield client


@pytest.fixture
def client(module_client: RawClient) -> RawClient:
    module_client.result("reset_state")
    module_client.result("configure_lm", LOCAL)
    return module_client


def test_a_script_with_none_of_our_code_drives_every_command() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    results = {
        line.partition(" ")[0]: json.loads(line.partition(" ")[2])
        for line in done.stdout.splitlines()
    }
    assert results["ping"]["dspy_available"] is True
    assert results["ping"]["worker_id"] == "w1"
    assert results["configure_lm"] == {
        "status": "configured",
        "model": "local/echo",
        "provider": "local",
        "temperature": 0.5,
    }
    assert results["create_program"]["status"] == "created"
    assert results["create_program"]["field_mapping"] == {
        "question": "question",
        "answer": "answer",
    }
    executed = results["execute_program"]
    assert executed["outputs"] == {"answer": "echo: What is 2+2?"}
    assert 0 < executed["execution_time"] < 10
    assert executed["usage"]["total_tokens"] > 0
    listed = results["list_programs"]
    assert listed["total_count"] == 1
    assert set(listed["programs"][0]) == {
        "id",
        "created_at",
        "execution_count",
        "last_executed",
        "signature",
        "session_id",
    }
    assert results["get_program_info"]["execution_count"] == 1
    assert results["get_stats"]["programs_count"] == 1
    assert set(results["get_stats"]["memory_usage"]) == {"rss", "vms", "percent"}
    assert results["delete_program"] == {"program_id": "qa", "status": "deleted"}
    assert results["cleanup_session"]["programs_removed"] == 0
    assert results["cleanup"] == {"status": "cleaned", "programs_removed": 0}
    assert results["reset_state"]["status"] == "reset"
    assert results["shutdown"]["status"] == "shutting_down"
    assert len(SCRIPT.read_text().splitlines()) <= 25


def test_typed_signatures_map_names_and_types(client: RawClient) -> None:
    made = client.result("create_program", {"id": "t", "signature": TYPED})
    assert made["field_mapping"]["the text"] == "the_text"
    assert made["field_mapping"]["2nd"] == "field_2nd"
    inputs = {"the text": "hello", "limit": 3}
    outputs = client.result("execute_program", {"program_id": "t", "inputs": inputs})["outputs"]
    assert set(outputs) == {"labels", "score", "kind", "2nd"}
    assert outputs["labels"] == ["hello | 3"]
    assert isinstance(outputs["score"], float)
    assert outputs["kind"] == "good"
    assert isinstance(outputs["2nd"], bool)


@pytest.mark.parametrize("kind", ["predict", "chain_of_thought", "react"])
def test_program_types_run(client: RawClient, kind: str) -> None:
    signature = "question -> answer"
    client.result("create_program", {"id": kind, "signature": signature, "program_type": kind})
    asked = {"program_id": kind, "inputs": {"question": "why?"}}
    assert "why?" in client.result("execute_program", asked)["outputs"]["answer"]


@pytest.mark.parametrize("kind", ["predict", "chain_of_thought", "react"])
def test_a_stream_tells_the_outputs_and_ends_with_all_of_them(client: RawClient, kind: str) -> None:
    made = {"id": kind, "signature": "question -> answer", "program_type": kind}
    client.result("create_program", made)
    client.send("stream_program", {"program_id": kind, "inputs": {"question": "why not?"}})
    items = []
    while "event" in (reply := client.read()):
        items.append(reply["data"])
    assert reply["success"]
    *pieces, last = items
    answer = [piece["text"] for piece in pieces if piece["field"] == "answer"]
    assert len(answer) > 1
    assert "".join(answer) == last["outputs"]["answer"]
    assert "why not?" in last["outputs"]["answer"]
    assert last.keys() == {"outputs", "execution_time", "usage"}
    assert last["usage"]["total_tokens"] > 0
    assert client.result("get_program_info", {"program_id": kind})["execution_count"] == 1


def test_programs_of_sessions_are_apart(client: RawClient) -> None:
    for session in ("s1", "s2"):
        made = {"id": "p", "signature": "q -> a", "session_id": session}
        client.result("create_program", made)
    assert client.result("list_programs")["total_count"] == 0
    assert client.result("list_programs", {"session_id": "s1"})["total_count"] == 1
    cleaned = client.result("cleanup_session", {"session_id": "s1"})
    assert cleaned == {"status": "cleaned", "session_id": "s1", "programs_removed": 1}
    assert client.result("list_programs", {"session_id": "s2"})["total_count"] == 1


def test_program_data_makes_an_unknown_program_run(client: RawClient) -> None:
    data = {
        "program_id": "p",
        "signature_def": {"inputs": [{"name": "q"}], "outputs": [{"name": "a"}]},
    }
    asked = {"program_id": "p", "inputs": {"q": "x"}, "program_data": data, "session_id": "s"}
    assert client.result("execute_program", asked)["outputs"] == {"a": "echo: x"}


def test_the_local_lm_fails_as_often_as_it_is_told(client: RawClient) -> None:
    client.result("configure_lm", {**LOCAL, "failure_rate": 1.0})
    client.result("create_program", {"id": "p", "signature": "q -> a"})
    for command in ("execute_program", "stream_program"):
        reply = client.ask(command, {"program_id": "p", "inputs": {"q": "x"}})
        assert (reply["error_type"], reply["details"]["status"]) == ("LMServerError", 500)


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("nope", {}, "Unknown command: nope"),
    ("execute_program", {"program_id": "x", "inputs": {}}, "Program not found: x"),
    ("delete_program", {"program_id": "x"}, "Program not found: x"),
    ("get_program_info", {"program_id": "x"}, "Program not found: x"),
    ("execute_program", {"inputs": {}}, "Program ID is required"),
    ("create_program", {"signature": "q -> a"}, "Program ID is required"),
    ("delete_program", {}, "Program ID is required"),
    ("execute_program", {"program_id": "two", "inputs": {}}, "Missing required input(s): a, b"),
    ("execute_program", {"program_id": "two", "inputs": {"a": 1}}, "Missing required input(s): b"),
]


@pytest.mark.parametrize(("command", "args", "text"), ERRORS)
def test_error_texts_are_those_that_clients_know(
    client: RawClient, command: str, args: dict[str, Any], text: str
) -> None:
    client.result("create_program", {"id": "two", "signature": "a, b -> c"})
    reply = client.ask(command, args)
    assert (reply["success"], reply["error"]) == (False, text)
    assert client.result("get_program_info", {"program_id": "two"})["execution_count"] == 0


def test_without_an_lm_nothing_is_made_up() -> None:
    with RawClient("bridge.dspy_bridge") as client:
        client.result("create_program", {"id": "p", "signature": "q -> a"})
        reply = client.ask("execute_program", {"program_id": "p", "inputs": {"q": "x"}})
        assert reply["error"] == "No LM is loaded."


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("no arrow", "'->'"),
        ({"inputs": [{"name": "q"}], "outputs": []}, "at least one input and one output"),
        (
            {"inputs": [{"name": "q", "type": "no such type"}], "outputs": [{"name": "a"}]},
            "no such",
        ),
        ({"inputs": [{"name": "a b"}, {"name": "a_b"}], "outputs": [{"name": "c"}]}, "two fields"),
        ({"inputs": [{"nome": "q"}], "outputs": [{"name": "a"}]}, "name"),
    ],
)
def test_a_signature_that_cannot_be_built_says_why(
    client: RawClient, signature: object, reason: str
) -> None:
    reply = client.ask("create_program", {"id": "p", "signature": signature})
    assert not reply["success"]
    assert reason in reply["error"]
    assert client.result("list_programs")["total_count"] == 0


def test_a_bad_lm_configuration_is_a_failure(client: RawClient) -> None:
    assert "model" in client.ask("configure_lm", {})["error"]
    reply = client.ask("configure_lm", {"model": "openai/"})
    assert (reply["success"], reply["error_type"]) == (False, "ValueError")
