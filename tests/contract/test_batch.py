"""A batch: many calls of one command in a request, each with an outcome of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.raw_client import RawClient

FAULTY = "bridge.faulty"


@pytest.fixture(params=[1, 8])
def faulty(request: pytest.FixtureRequest) -> Iterator[RawClient]:
    with RawClient(FAULTY) as client:
        yield client.shake_hands(request.param)


@pytest.fixture(params=[1, 8])
def small(request: pytest.FixtureRequest) -> Iterator[RawClient]:
    with RawClient(FAULTY, "--max-frame-bytes", "4096") as client:
        yield client.shake_hands(request.param)


@pytest.fixture(params=[1, 8])
def kinds(request: pytest.FixtureRequest) -> Iterator[RawClient]:
    with RawClient("tests.contract.bridges:kinds") as client:
        yield client.shake_hands(request.param)


class Outcome:
    """What the frames of a batch say together."""

    def __init__(self, client: RawClient, *read: dict[str, Any]) -> None:
        events, self.reply = client.until_reply()
        self.events = [*read, *events]
        assert self.reply["success"], self.reply
        assert all(event["event"] == "results" for event in self.events)
        self.results: list[Any] = []
        self.failures: dict[int, dict[str, Any]] = {}
        for frame in [*self.events, self.reply]:
            places = range(len(self.results), len(self.results) + len(frame["results"]))
            failed = {int(place): failure for place, failure in frame["failures"].items()}
            assert failed.keys() <= set(places)
            self.results += frame["results"]
            self.failures |= failed
        assert [i for i in self.failures if self.results[i] is not None] == []

    @property
    def error_types(self) -> dict[int, str]:
        return {i: failure["error_type"] for i, failure in self.failures.items()}


def outcome(client: RawClient, command: str, batch: list[Any]) -> Outcome:
    client.send(command, batch=batch)
    return Outcome(client)


@pytest.mark.parametrize("command", ["echo", "aecho"])
def test_each_call_has_its_result_in_its_place(faulty: RawClient, command: str) -> None:
    batch = [{"i": i} for i in range(5)]
    found = outcome(faulty, command, batch)
    assert (found.results, found.failures, found.events) == (batch, {}, [])
    assert "result" not in found.reply


def test_results_are_told_as_they_are(kinds: RawClient) -> None:
    values = [1, "text", [1, 2], None, {"a": 1}]
    assert outcome(kinds, "scalar", [{"value": value} for value in values]).results == values


@pytest.mark.parametrize("command", ["echo", "aecho"])
def test_the_arguments_of_each_are_looked_at_for_themselves(
    faulty: RawClient, command: str
) -> None:
    found = outcome(faulty, command, [{"a": 1}, None, 5, {"session_id": 5}, ["session_id"], {}])
    assert found.results == [{"a": 1}, {}, None, None, None, {}]
    assert found.error_types == {2: "ArgumentError", 3: "ValidationError", 4: "ArgumentError"}


@pytest.mark.parametrize("command", ["sleep", "asleep"])
def test_a_bad_argument_is_named(faulty: RawClient, command: str) -> None:
    found = outcome(faulty, command, [{"seconds": 0}, {"seconds": "x"}, {"seconds": 0}])
    assert found.results == [{"slept": 0.0}, None, {"slept": 0.0}]
    assert found.failures[1]["details"] == [
        {"path": "seconds", "problem": "Expected `float`, got `str`"}
    ]


def test_one_that_raises_fails_alone(faulty: RawClient) -> None:
    found = outcome(faulty, "fail", [{"message": "one"}, {"message": "two"}])
    assert found.results == [None, None]
    assert [found.failures[i]["error"] for i in (0, 1)] == ["one", "two"]
    assert found.failures[0]["traceback"].count("File") == 1
    assert faulty.result("echo", {"a": 1}) == {"a": 1}


def test_what_cannot_be_encoded_fails_alone(kinds: RawClient) -> None:
    found = outcome(kinds, "typed", [{"kind": "list"}, {"kind": "object"}, {"kind": "list"}])
    assert found.results == [[], None, []]
    assert found.error_types == {1: "Unsendable"}


def test_a_result_is_told_as_it_was_when_it_was_returned(kinds: RawClient) -> None:
    assert outcome(kinds, "growing", [{}, {}, {}]).results == [[0], [0, 1], [0, 1, 2]]


def test_calls_run_one_after_the_other(faulty: RawClient) -> None:
    found = outcome(faulty, "work", [{}, {}, {}])
    assert found.results == [{"calls": 1}, {"calls": 2}, {"calls": 3}]
    found = outcome(faulty, "ameet", [{"number": 1}, {"number": 1}])
    assert found.failures == {}


def test_an_unknown_command_fails_as_a_whole(faulty: RawClient) -> None:
    assert faulty.ask("nope", batch=[{}, {}])["error"] == "Unknown command: nope"
    assert faulty.ask("echo", batch={"a": 1})["error_type"] == "BadRequest"


@pytest.mark.parametrize("command", ["trail", "atrail"])
def test_a_stream_cannot_be_in_a_batch(faulty: RawClient, command: str) -> None:
    found = outcome(faulty, command, [{"n": 1}, {"n": 1}])
    assert found.results == [None, None]
    assert found.failures[1]["error"] == f"{command} is a stream, which cannot be called in a batch"
    assert faulty.result("traces") == {"traces": []}


def test_an_empty_batch_is_answered(faulty: RawClient) -> None:
    found = outcome(faulty, "echo", [])
    assert (found.results, found.failures) == ([], {})


def test_definitions_cannot_be_made_in_a_batch(faulty: RawClient) -> None:
    found = outcome(faulty, "make", [{"key": "a"}])
    assert found.error_types == {0: "RuntimeError"}
    assert "in a batch" in found.failures[0]["error"]
    assert "define" not in found.reply
    assert faulty.ask("make", {"key": "a"})["define"]["key"] == "a"


def test_each_call_is_of_the_session_that_it_names(kinds: RawClient) -> None:
    found = outcome(kinds, "session", [{"session_id": "a"}, {}, {"session_id": "b"}])
    assert [result["session"] for result in found.results] == ["a", "anonymous", "b"]


def test_news_is_of_the_session_that_the_first_call_names(kinds: RawClient) -> None:
    news = [{"key": "k", "version": "v", "definition": 1}]
    kinds.send("session", batch=[{"session_id": "a"}], define=news)
    kinds.send("session", batch=[{"session_id": 5}], define=news)
    kinds.send("session", batch=[], define=news)
    for _ in range(3):
        Outcome(kinds)
    adopted = ["a: k", "anonymous: k", "anonymous: k"]
    assert kinds.result("adopted") == {"adopted": adopted}


def test_every_call_is_counted() -> None:
    with RawClient("bridge.dspy_bridge") as client:
        found = outcome(client, "get_program_info", [{"program_id": "p"}] * 3)
        assert len(found.failures) == 3
        stats = client.result("get_stats")
        assert (stats["command_count"], stats["error_count"]) == (4, 3)


# Frames


def test_much_is_told_before_the_end(faulty: RawClient) -> None:
    found = outcome(faulty, "big_result", [{"size": 100_000}] * 7)
    assert [len(event["results"]) for event in found.events] == [3, 3]
    assert [len(result["text"]) for result in found.results] == [100_000] * 7


@pytest.mark.parametrize("command", ["sleep", "asleep"])
def test_what_is_done_is_told_every_tenth_of_a_second(faulty: RawClient, command: str) -> None:
    began = time.monotonic()
    found = outcome(faulty, command, [{"seconds": 0.06}] * 8)
    tenths = (time.monotonic() - began) / 0.1
    told = [len(event["results"]) for event in found.events]
    assert len(told) <= tenths
    # Two results take longer than a tenth of a second, on any machine.
    assert set(told) <= {1, 2}
    assert sum(told) >= 6
    assert len(found.results) == 8


def test_a_result_too_large_for_a_frame_fails_alone(small: RawClient) -> None:
    sizes = [10, 5_000, 3_500, 3_500, 10]
    found = outcome(small, "big_result", [{"size": size} for size in sizes])
    assert found.error_types == {1: "ResultTooLarge"}
    assert [result and len(result["text"]) for result in found.results] == [
        *(10, None, 3_500, 3_500, 10)
    ]


def test_an_error_too_long_for_a_frame_is_told_in_short(small: RawClient) -> None:
    # A control character takes six bytes, and stands in the traceback too.
    found = outcome(small, "fail", [{"message": "\x01" * 500}, {"message": "two"}])
    assert found.error_types == {0: "ValueError", 1: "ValueError"}
    assert [found.failures[i]["error"] for i in (0, 1)] == ["\x01" * 100, "two"]


# Cancelled


@pytest.mark.parametrize("command", ["sleep", "asleep"])
def test_what_a_cancellation_leaves_fails_and_what_is_done_is_told(
    faulty: RawClient, command: str
) -> None:
    sent = faulty.send(command, batch=[{"seconds": 0.02}] * 10_000)
    first = faulty.read()
    faulty.tell("$cancel", {"id": sent})
    found = Outcome(faulty, first)
    assert set(found.error_types.values()) == {"Cancelled"}
    assert len(found.results) == 10_000
    done = len(found.results) - len(found.failures)
    assert found.results[:done] == [{"slept": 0.02}] * done
    assert len(first["results"]) <= done < 100
    assert faulty.result("ping")["status"] == "ok"


def test_an_async_call_under_way_is_interrupted(faulty: RawClient) -> None:
    sent = faulty.send("linger", batch=[{"seconds": 0}, {"seconds": 60}, {"seconds": 60}])
    assert [faulty.line() for _ in range(2)] == ["faulty: waits"] * 2
    faulty.tell("$cancel", {"id": sent})
    assert faulty.line() == "faulty: tidies up"
    assert Outcome(faulty).error_types == {1: "Cancelled", 2: "Cancelled"}
    assert faulty.result("traces") == {"traces": ["linger"]}


def test_the_last_result_of_one_that_swallows_its_cancellation_is_told(faulty: RawClient) -> None:
    sent = faulty.send("swallow", batch=[{"seconds": 60}, {"seconds": 60}])
    assert faulty.line() == "faulty: waits"
    faulty.tell("$cancel", {"id": sent})
    found = Outcome(faulty)
    assert found.results == [{"cancelled": True}, None]
    assert found.error_types == {1: "Cancelled"}


@pytest.mark.parametrize("command", ["echo", "aecho"])
def test_a_batch_of_quick_calls_can_be_cancelled(faulty: RawClient, command: str) -> None:
    sent = faulty.send(command, batch=[{}] * 200_000)
    first = faulty.read()
    faulty.tell("$cancel", {"id": sent})
    found = Outcome(faulty, first)
    assert len(found.results) == 200_000
    assert found.failures
