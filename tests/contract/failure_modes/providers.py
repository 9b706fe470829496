"""Providers that fail, and models that answer badly: dspy, against a server on loopback.

All of it befalls one worker, one after the other, and it serves on: importing
dspy for each would take the most time of all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from pool import Lease
from tests.contract.failure_modes import Shown, error_of, shows
from tests.contract.openai_server import OpenAIServer, Refusal, answer_to
from tests.contract.test_providers import ENV, ask, create, dspy_pool, lm

Step = Callable[[OpenAIServer, Lease], Awaitable[Shown]]

_steps: dict[str, Step] = {}
_outcomes: dict[str, Shown | BaseException] = {}


def shows_at_provider(failure: str) -> Callable[[Step], Step]:
    """Register what provokes the failure of that name, given a server and a worker of its own."""

    def register(step: Step) -> Step:
        _steps[failure] = step
        shows(failure)(partial(_outcome, failure))
        return step

    return register


async def _outcome(failure: str) -> Shown:
    if not _outcomes:
        await _provoke_all()
    outcome = _outcomes[failure]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


async def _provoke_all() -> None:
    with OpenAIServer() as server:
        async with (
            dspy_pool(lm(server), env={**ENV, "OPENAI_API_KEY": ""}) as pool,
            pool.checkout() as worker,
        ):
            for failure, step in _steps.items():
                await _set_up(server, worker)
                [_outcomes[failure]] = await asyncio.gather(
                    step(server, worker), return_exceptions=True
                )
            assert (pool.stats().worker_exits, pool.stats().retries) == ({}, 0)


async def _set_up(server: OpenAIServer, worker: Lease, **of_the_lm: Any) -> None:
    """A program `qa`, and an LM that asks the server; how often that was asked starts at 0."""
    await create(worker)
    await worker.call("configure_lm", lm(server, **of_the_lm))
    server.requests.clear()


async def _refused(server: OpenAIServer, worker: Lease, refusal: Refusal) -> Shown:
    server.plan(refusal)
    error = await error_of(ask(worker))
    assert len(server.requests) == 1
    return Shown(error)


@shows_at_provider("The provider cannot be reached")
async def out_of_reach(_server: OpenAIServer, worker: Lease) -> Shown:
    with OpenAIServer() as gone:
        pass
    await _set_up(gone, worker)
    return Shown(await error_of(ask(worker)))


@shows_at_provider("The provider fails")
async def fails(server: OpenAIServer, worker: Lease) -> Shown:
    return await _refused(server, worker, Refusal(500))


@shows_at_provider("The provider limits the rate")
async def limits_the_rate(server: OpenAIServer, worker: Lease) -> Shown:
    return await _refused(server, worker, Refusal(429, {"Retry-After": "7"}))


@shows_at_provider("The provider refuses the key")
async def wrong_key(server: OpenAIServer, worker: Lease) -> Shown:
    return await _refused(server, worker, Refusal(401))


@shows_at_provider("The provider is slow")
async def slow(server: OpenAIServer, worker: Lease) -> Shown:
    await _set_up(server, worker, timeout=0.2)
    server.hold()
    return Shown(await error_of(ask(worker)))


@shows_at_provider("The LM has no key")
async def no_key(server: OpenAIServer, worker: Lease) -> Shown:
    await _set_up(server, worker, api_key=None)
    shown = Shown(await error_of(ask(worker)))
    assert server.requests == []
    return shown


@shows_at_provider("Its output cannot be parsed")
async def unparsable(server: OpenAIServer, worker: Lease) -> Shown:
    await create(worker, "question -> answer: int")
    shown = Shown(await error_of(ask(worker)))
    assert len(server.requests) == 2
    return shown


@shows_at_provider("Its output is wrong")
async def hallucination(_server: OpenAIServer, worker: Lease) -> Shown:
    question = "Who was the first person on Mars?"
    assert (await ask(worker, question))["outputs"] == {"answer": answer_to(question)}
    return Shown()
