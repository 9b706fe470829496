"""Many calls of the DSPy bridge on one event loop, against a provider on loopback.

The bridge's functions run as tasks, as they do in a worker that is sent many
calls. Each story is for both of dspy's clients: with dspy's own it is told
inside the tests; litellm, which installs itself in the process that imports
it, is told about in a process of its own:
`python -m tests.contract.dspy_stories MODEL`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import dspy
import pytest

from bridge import dspy_bridge
from bridge.dspy_bridge import building, threads
from bridge.dspy_bridge.lm import CurrentLM
from bridge.dspy_bridge.programs import ProgramData, Programs
from tests.contract.openai_server import Refusal, answer_to
from tests.contract.provider import Provider, usage_of

DSPY = "openai/test-model"
LITELLM = "together_ai/test-model"

Story = Callable[[Provider, str], Awaitable[None]]


class Blocking(dspy.Module):  # type: ignore[misc]
    """A program with no asynchronous way. Some go on after an error: this one asks "again"."""

    def __init__(self, signature: Any) -> None:
        super().__init__()
        self.predict = dspy.Predict(signature)

    def think(self) -> None:
        """What it does before each request."""

    def ask(self, **inputs: Any) -> Any:
        self.think()
        return self.predict(**inputs)

    def forward(self, **inputs: Any) -> Any:
        try:
            return self.ask(**inputs)
        except Exception:
            if "again" not in inputs["question"]:
                raise
            return self.ask(**inputs)


@asynccontextmanager
async def stage() -> AsyncIterator[Provider]:
    """A provider, and a bridge that knows nothing yet but programs of the type "blocking" too."""
    with (
        ThreadPoolExecutor(threads.MAX_THREADS) as own_threads,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(threads, "_threads", own_threads)
        patch.setattr(dspy_bridge, "_lm", CurrentLM())
        patch.setattr(dspy_bridge, "_programs", Programs())
        patch.setitem(building._MODULES, "blocking", Blocking)
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        patch.setenv("NO_PROXY", "127.0.0.1")
        # A gateway in the environment would make dspy take litellm for every model.
        patch.delenv("OPENAI_API_BASE", raising=False)
        patch.delenv("OPENAI_BASE_URL", raising=False)
        async with Provider() as provider:
            yield provider
            await dspy_bridge.configure_lm(model="local/echo")  # closes the other one


async def configure(provider: Provider, model: str = DSPY, **more: Any) -> None:
    given = {"model": model, "api_base": provider.api_base, "api_key": "k", "num_retries": 0}
    await dspy_bridge.configure_lm(**{**given, **more})


def program(kind: str, signature: str = "question -> answer") -> dict[str, Any]:
    return {"program_id": "qa", "program_data": ProgramData("qa", signature, kind)}


def ask(question: str, kind: str = "predict") -> asyncio.Task[dict[str, Any]]:
    asked = dspy_bridge.execute_program(**program(kind), inputs={"question": question})
    return asyncio.create_task(asked, name=question)


def is_right(reply: dict[str, Any], question: str) -> bool:
    expected = {"answer": answer_to(question)}, usage_of(question)
    return (reply["outputs"], reply["usage"]) == expected


async def what_befalls_one_is_its_own(provider: Provider, model: str, kind: str) -> None:
    """30 at once: one is refused, one cancelled, one slow; nobody else notices."""
    await configure(provider, model)
    questions = [f"question {'x' * n}" for n in range(30)]
    refused, cancelled, slow = questions[3], questions[11], questions[7]
    answers, slow_answer = provider.hold(*questions), provider.hold(slow)
    provider.refuse(refused, Refusal(429, {"Retry-After": "7"}))

    calls = {question: ask(question, kind) for question in questions}
    await provider.arrived(30)  # though none but one has been answered
    calls[cancelled].cancel()
    await provider.until(lambda provider: provider.gone == [cancelled])
    answers.set()
    with pytest.raises(dspy.LMRateLimitError) as limited:
        await calls.pop(refused)
    with pytest.raises(asyncio.CancelledError):
        await calls.pop(cancelled)
    waiting = calls.pop(slow)
    for question, call in calls.items():
        assert is_right(await call, question)
    assert not waiting.done()
    slow_answer.set()
    assert is_right(await waiting, slow)
    assert limited.value.details["status"] == 429
    assert limited.value.details["retry_after"] == 7
    assert len(provider.requests) == 30


async def texts_come_before_the_end(provider: Provider, model: str, kind: str) -> None:
    """What is told by the half that has come, the rest, and the outcome."""
    await configure(provider, model)
    question = "why?"
    rest = provider.hold(question)
    told = ""
    async with aclosing(stream(question, kind)) as items:
        first = await anext(items)
        assert first.keys() == {"field", "text"}
        assert first["field"] == "answer"
        assert answer_to(question).startswith(first["text"])
        rest.set()
        told = first["text"]
        async for item in items:
            if "outputs" in item:
                break
            told += item["text"]
        assert await anext(items, None) is None
    assert told == answer_to(question)
    assert is_right(item, question)
    assert 0 < item["execution_time"] < 20


async def a_stream_that_is_left_ends_the_request(provider: Provider, model: str, kind: str) -> None:
    await configure(provider, model)
    provider.hold("why?")
    items = stream("why?", kind)
    assert (await anext(items))["field"] == "answer"
    await asyncio.create_task(items.aclose())  # which another task may do
    await provider.until(lambda provider: provider.gone == ["why?"])
    assert is_right(await ask("and now?", kind), "and now?")


async def a_stream_whose_reader_is_cancelled_ends_the_request(
    provider: Provider, model: str, kind: str
) -> None:
    await configure(provider, model)
    provider.hold("why?")
    reading = asyncio.create_task(read(stream("why?", kind)))
    await provider.arrived(1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await provider.until(lambda provider: provider.gone == ["why?"])


async def a_server_that_does_not_stream_gives_the_end_alone(
    provider: Provider, model: str, kind: str
) -> None:
    await configure(provider, model)
    provider.can_stream = False
    [item] = await read(stream("why?", kind))
    assert item["outputs"] == {"answer": answer_to("why?")}


async def a_stream_that_is_refused_raises_what_a_call_does(
    provider: Provider, model: str, kind: str
) -> None:
    await configure(provider, model)
    provider.refuse("why?", Refusal(429, {"Retry-After": "7"}))
    with pytest.raises(dspy.LMRateLimitError) as called:
        await ask("why?", kind)
    with pytest.raises(dspy.LMRateLimitError) as streamed:
        await read(stream("why?", kind))
    assert called.value.details["retry_after"] == 7
    assert streamed.value.details == called.value.details


def stream(question: str, kind: str = "predict", **more: Any) -> Any:
    inputs = {"question": question}
    return dspy_bridge.stream_program(**program(kind), inputs=inputs, **more)


async def read(items: Any) -> list[dict[str, Any]]:
    async with aclosing(items):
        return [item async for item in items]


STORIES: dict[str, Story] = {
    f"{story.__name__} ({kind})": partial(story, kind=kind)
    for story in (
        what_befalls_one_is_its_own,
        texts_come_before_the_end,
        a_stream_that_is_left_ends_the_request,
        a_stream_whose_reader_is_cancelled_ends_the_request,
        a_server_that_does_not_stream_gives_the_end_alone,
        a_stream_that_is_refused_raises_what_a_call_does,
    )
    for kind in ("predict", "blocking")
}


async def play(story: Story, model: str) -> None:
    async with stage() as provider:
        await story(provider, model)


def main(model: str) -> None:
    """Print what went wrong in each story, null where nothing did."""
    for name, story in STORIES.items():
        wrong = None
        try:
            asyncio.run(play(story, model))
        except Exception:
            wrong = traceback.format_exc()
        print(json.dumps([name, wrong]))


if __name__ == "__main__":
    main(sys.argv[1])
