"""What executions share, what they leave behind, and what they do not see of each other."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from typing import Any

import dspy
import pytest
from dspy import lm15
from dspy.clients.base_lm import GLOBAL_HISTORY

from bridge import dspy_bridge
from bridge.dspy_bridge import building, programs
from tests.contract.dspy_stories import (
    DSPY,
    Blocking,
    ask,
    configure,
    is_right,
    program,
    read,
    stage,
    stream,
)
from tests.contract.openai_server import answer_to
from tests.contract.provider import Provider

each_way = pytest.mark.parametrize("kind", ["predict", "blocking"])


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with stage() as provider:
        yield provider


# The LM


@each_way
async def test_a_call_keeps_the_lm_that_it_began_with(provider: Provider, kind: str) -> None:
    await configure(provider)
    answer = provider.hold("before")
    before = ask("before", kind)
    await provider.arrived(1)
    async with Provider() as other:
        await configure(other)
        assert is_right(await ask("after", kind), "after")
        assert len(other.requests) == 1
        assert provider.connections == 1
        answer.set()
        assert is_right(await before, "before")
        await provider.until(lambda provider: provider.connections == 0)
        await configure(provider)
        await other.until(lambda other: other.connections == 0)


async def test_connections_are_used_again(provider: Provider) -> None:
    await configure(provider)
    for number in range(5):
        await ask(str(number))
    assert provider.connections == 1


# What is left behind


@each_way
async def test_nothing_is_kept_of_a_call_that_is_over(provider: Provider, kind: str) -> None:
    await configure(provider)
    await ask("warm up", kind)
    before = kept()
    await asyncio.gather(*(ask(f"question {n}", kind) for n in range(20)))
    await read(stream("why?", kind))
    for _ in range(100):  # a thread lets go of its work just after that is done
        if kept() <= before:
            break
        await asyncio.sleep(0.01)
    assert kept() <= before
    assert (GLOBAL_HISTORY, dspy.settings.trace) == ([], [])


def kept() -> int:
    """Prompts, answers and what came of them that are still in memory."""
    gc.collect()
    kinds = (dspy.Prediction, lm15.Request, lm15.Response)
    return sum(isinstance(thing, kinds) for thing in gc.get_objects())


async def test_a_program_is_built_once_for_all_calls(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await configure(provider)
    built = []

    def build(*definition: Any) -> Any:
        built.append(definition)
        return building.build(*definition)

    monkeypatch.setattr(programs, "build", build)
    await asyncio.gather(*(ask(str(number)) for number in range(10)))
    assert len(built) == 1


# Programs on threads


async def test_a_cancelled_program_ends_where_it_asks(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it goes on after errors."""
    thoughts: list[Any] = []
    monkeypatch.setattr(Blocking, "think", lambda program: thoughts.append(program))
    await configure(provider)
    provider.hold("again and again")
    call = ask("again and again", "blocking")
    await provider.arrived(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(thoughts) == 1
    await provider.until(lambda provider: provider.gone != [])
    assert is_right(await ask("another", "blocking"), "another")
    assert len(provider.requests) == 2


async def test_a_program_that_is_cancelled_between_requests_makes_no_other(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await configure(provider)
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def think(signature: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()

    monkeypatch.setattr(Blocking, "think", think)
    call = ask("why?", "blocking")
    await begun.wait()
    call.cancel()
    await asyncio.sleep(0)
    assert not call.done()  # its thread runs
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert provider.requests == []


async def test_programs_on_threads_do_not_hold_up_others(provider: Provider) -> None:
    """More of them than the event loop has threads of its own (32, asyncio.to_thread)."""
    await configure(provider)
    questions = [f"question {number}" for number in range(40)]
    answers = provider.hold(*questions)
    calls = [ask(question, "blocking") for question in questions]
    await provider.arrived(40)
    assert is_right(await ask("quick"), "quick")
    answers.set()
    for question, call in zip(questions, calls, strict=True):
        assert is_right(await call, question)


# Errors are the same either way


@each_way
async def test_a_provider_that_is_too_slow(provider: Provider, kind: str) -> None:
    await configure(provider, timeout=0.1)
    provider.hold("why?")
    with pytest.raises(dspy.utils.exceptions.LMTransportError, match=r"(?i)timed out") as error:
        await ask("why?", kind)
    assert error.value.details["provider"] == "openai-chat"


@each_way
async def test_without_an_lm(provider: Provider, kind: str) -> None:
    with pytest.raises(RuntimeError, match=r"^No LM is loaded\.$"):
        await ask("why?", kind)
    with pytest.raises(RuntimeError, match=r"^No LM is loaded\.$"):
        await read(stream("why?", kind))


@each_way
async def test_missing_inputs_and_programs(provider: Provider, kind: str) -> None:
    await configure(provider)
    for run in (dspy_bridge.execute_program, dspy_bridge.stream_program):
        for args, text in (
            ({**program(kind, "a, b -> c"), "inputs": {"a": 1}}, "Missing required input.s.: b"),
            ({"program_id": "x", "inputs": {}}, "Program not found: x"),
            ({"inputs": {}}, "Program ID is required"),
        ):
            with pytest.raises((ValueError, LookupError), match=f"^{text}$"):
                await result_of(run(**args))
    assert provider.requests == []


async def result_of(called: Any) -> Any:
    return await (called if asyncio.iscoroutine(called) else read(called))


# Streams


def texts(items: list[dict[str, Any]]) -> dict[str, str]:
    told: dict[str, str] = {}
    for item in items[:-1]:
        told[item["field"]] = told.get(item["field"], "") + item["text"]
    return told


async def test_each_output_is_told_by_the_clients_name(provider: Provider) -> None:
    await configure(provider)
    asked = {
        **program("chain_of_thought", "question -> answer, score"),
        "inputs": {"question": "why?"},
    }
    asked["program_data"].signature_def = {
        "inputs": [{"name": "question"}],
        "outputs": [{"name": "the answer"}, {"name": "2nd"}],
    }
    everything = await read(dspy_bridge.stream_program(**asked))
    outputs = everything[-1]["outputs"]
    assert outputs == dict.fromkeys(("reasoning", "the answer", "2nd"), answer_to("why?"))
    assert texts(everything) == outputs
    some = await read(dspy_bridge.stream_program(**asked, fields=["2nd"]))
    assert texts(some) == {"2nd": outputs["2nd"]}
    assert some[-1]["outputs"] == outputs
    with pytest.raises(ValueError, match=r"^No such output\(s\): nope \(there are: reasoning, "):
        await read(dspy_bridge.stream_program(**asked, fields=["2nd", "nope"]))


@each_way
async def test_many_streams_at_once_do_not_mix(provider: Provider, kind: str) -> None:
    await configure(provider, DSPY)
    questions = [f"question {'y' * n}" for n in range(20)]
    rest = provider.hold(*questions)
    reading = {
        question: asyncio.create_task(read(stream(question, kind))) for question in questions
    }
    await provider.arrived(20)
    rest.set()
    for question, items in reading.items():
        assert texts(await items) == {"answer": answer_to(question)}
        assert is_right((await items)[-1], question)
