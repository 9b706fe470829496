"""Real providers: dspy's clients over HTTP, from real workers to a server on loopback."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Unpack

import pytest

from pool import CallTimeout, EnvironmentInvalid, Lease, RemoteError, WorkerPool, WorkerStartError
from pool.config import PoolOptions
from tests.contract.openai_server import USAGE, OpenAIServer, Refusal, answer_to
from tests.contract.provider import Provider, usage_of

KEY = "sk-test-0123456789"

ENV = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NO_PROXY": "127.0.0.1",
    # A gateway in the environment would make dspy take litellm for every model.
    "OPENAI_API_BASE": "",
    "OPENAI_BASE_URL": "",
}


@dataclass(frozen=True)
class Client:
    """A way from dspy to the provider, and how one tells that it was taken."""

    model: str
    user_agent: str
    error_text: str
    timeout_error: str


DSPY = Client("openai/test-model", "lm15/", "[openai/test-model]", "LMTransportError")
LITELLM = Client("together_ai/test-model", "DSPy/", "litellm.", "LMTimeoutError")

each_client = pytest.mark.parametrize(
    "client", [pytest.param(DSPY, id="dspy"), pytest.param(LITELLM, id="litellm")]
)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


def lm(server: OpenAIServer | Provider, model: str = DSPY.model, **more: Any) -> dict[str, Any]:
    """The arguments of `configure_lm`; retries would hide what the provider said."""
    given = {"model": model, "api_base": server.api_base, "api_key": KEY, "num_retries": 0}
    return {**given, **more}


DEFAULTS: PoolOptions = {"size": 1, "env": ENV}


@pytest.fixture(autouse=True, params=["forkserver", "spawn"])
def start_method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs with workers of either kind."""
    monkeypatch.setitem(DEFAULTS, "start_method", request.param)


def dspy_pool(config: dict[str, Any], **options: Unpack[PoolOptions]) -> WorkerPool:
    merged: PoolOptions = {**DEFAULTS, "options": {"lm": config}, **options}
    return WorkerPool("bridge.dspy_bridge", **merged)


async def create(
    on: WorkerPool | Lease,
    signature: str = "question -> answer",
    program: str = "qa",
    session: str | None = None,
) -> None:
    await on.call("create_program", {"id": program, "signature": signature}, session=session)


async def ask(
    on: WorkerPool | Lease,
    question: str = "2+2?",
    program: str = "qa",
    session: str | None = None,
    timeout: float = 30.0,
) -> Any:
    args = {"program_id": program, "inputs": {"question": question}}
    return await on.call("execute_program", args, session=session, timeout=timeout)


async def programs(on: WorkerPool | Lease, session: str | None = None) -> list[str]:
    listed = await on.call("list_programs", session=session)
    assert listed["total_count"] == len(listed["programs"])
    return [program["id"] for program in listed["programs"]]


def pids(pool: WorkerPool) -> list[int | None]:
    return [worker.pid for worker in pool.stats().workers]


# The way there and back


@each_client
async def test_dspys_prompt_arrives_and_its_answer_and_token_usage_come_back(
    server: OpenAIServer, client: Client
) -> None:
    async with dspy_pool(lm(server, client.model)) as pool:
        await create(pool)
        reply = await ask(pool, "Which planet is nearest to the sun?")

    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["user-agent"].startswith(client.user_agent)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == "test-model"
    assert "[[ ## question ## ]]\nWhich planet is nearest to the sun?" in request.prompt
    assert reply["outputs"] == {"answer": answer_to("Which planet is nearest to the sun?")}
    assert reply["usage"] == USAGE


# Failures of the provider


@each_client
async def test_a_refusal_is_a_named_error_and_the_worker_serves_on(
    server: OpenAIServer, client: Client
) -> None:
    server.plan(Refusal(429, {"Retry-After": "7"}), Refusal(500))
    async with dspy_pool(lm(server, client.model)) as pool:
        await create(pool)
        before = pids(pool)
        with pytest.raises(RemoteError) as limited:
            await ask(pool)
        with pytest.raises(RemoteError) as failed:
            await ask(pool)
        reply = await ask(pool)
        assert pids(pool) == before

    assert limited.value.error_type == "LMRateLimitError"
    assert client.error_text in limited.value.message
    assert limited.value.details["status"] == 429
    assert limited.value.details["retry_after"] == 7
    assert failed.value.error_type == "LMServerError"
    assert client.error_text in failed.value.message
    assert failed.value.details["status"] == 500
    assert "retry_after" not in failed.value.details
    assert reply["outputs"] == {"answer": answer_to("2+2?")}
    assert len(server.requests) == 3


@each_client
async def test_a_date_to_retry_after_is_told_in_seconds(
    server: OpenAIServer, client: Client
) -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server.plan(Refusal(503, {"Retry-After": in_an_hour}))
    async with dspy_pool(lm(server, client.model)) as pool:
        await create(pool)
        with pytest.raises(RemoteError) as caught:
            await ask(pool)
    assert 3500 < caught.value.details["retry_after"] <= 3600


@each_client
async def test_a_provider_slower_than_the_lms_timeout_is_a_named_error(
    server: OpenAIServer, client: Client
) -> None:
    async with dspy_pool(lm(server, client.model, timeout=0.2)) as pool:
        await create(pool)
        before = pids(pool)
        server.hold()
        with pytest.raises(RemoteError, match=r"(?i)timed? ?out") as caught:
            await ask(pool)
        assert caught.value.error_type == client.timeout_error
        assert await programs(pool) == ["qa"]
        assert pids(pool) == before


async def test_a_call_that_times_out_is_ended_at_the_provider() -> None:
    async with Provider() as provider, dspy_pool(lm(provider)) as pool:
        await create(pool)
        await ask(pool, "first")  # takes longer than others: it imports
        before = pids(pool)
        provider.hold("late")
        with pytest.raises(CallTimeout):
            await ask(pool, "late", timeout=1.0)
        await provider.until(lambda provider: provider.gone == ["late"])
        reply = await ask(pool, "in time")
        assert reply["outputs"] == {"answer": answer_to("in time")}
        assert pids(pool) == before
        assert pool.stats().worker_exits == {}


# Many at once


async def test_one_worker_has_many_executions_in_flight() -> None:
    async with Provider() as provider, dspy_pool(lm(provider), concurrency=30) as pool:
        await create(pool)
        questions = [f"question {'x' * n}" for n in range(30)]
        answers, never = provider.hold(*questions), provider.hold(questions[7])
        calls = {question: asyncio.create_task(ask(pool, question)) for question in questions}
        await provider.arrived(30)
        given_up = calls.pop(questions[7])
        given_up.cancel()
        await provider.until(lambda provider: provider.gone == [questions[7]])
        answers.set()
        for question, call in calls.items():
            reply = await call
            assert reply["outputs"] == {"answer": answer_to(question)}
            assert reply["usage"] == usage_of(question)
        assert given_up.cancelled()
        assert not never.is_set()
        assert len(pids(pool)) == 1


@each_client
async def test_a_stream_is_told_as_it_comes_and_ended_when_it_is_left(client: Client) -> None:
    async with (
        Provider() as provider,
        dspy_pool(lm(provider, client.model), concurrency=2) as pool,
    ):
        await create(pool)
        rest, never = provider.hold("why?"), provider.hold("and now?")
        args = {"program_id": "qa", "inputs": {"question": "why?"}}
        async with pool.stream("stream_program", args) as items:
            told = (await anext(items))["text"]
            rest.set()
            *pieces, last = [item async for item in items]
        assert told + "".join(piece["text"] for piece in pieces) == answer_to("why?")
        assert last["outputs"] == {"answer": answer_to("why?")}
        assert last["usage"]["total_tokens"] == usage_of("why?")["total_tokens"]

        args["inputs"] = {"question": "and now?"}
        async with pool.stream("stream_program", args) as items:
            await anext(items)
        await provider.until(lambda provider: provider.gone == ["and now?"])
        assert not never.is_set()
        assert len(pids(pool)) == 1


# Which worker has which LM


async def test_configure_lm_on_a_lease_is_for_that_worker_only(server: OpenAIServer) -> None:
    async with dspy_pool(lm(server, "openai/common"), size=2) as pool:
        await create(pool)
        async with pool.checkout() as one, pool.checkout() as other:
            configured = await one.call("configure_lm", lm(server, "openai/own"))
            assert configured["status"] == "configured"
            await ask(one)
            await ask(other)
    assert [request.body["model"] for request in server.requests] == ["own", "common"]


async def test_options_are_for_every_worker(server: OpenAIServer) -> None:
    async with dspy_pool(lm(server, "openai/common"), size=2) as pool:
        await create(pool)
        async with pool.checkout() as one, pool.checkout() as other:
            assert one.pid != other.pid
            await ask(one)
            await ask(other)
    assert [request.body["model"] for request in server.requests] == ["common", "common"]


async def test_a_worker_started_after_a_kill_has_the_options_and_the_programs(
    server: OpenAIServer,
) -> None:
    async with dspy_pool(lm(server, "openai/common")) as pool:
        await create(pool)
        async with pool.checkout() as worker:
            killed = worker.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
        # Idempotent: the pool may lend the worker before it hears of its end.
        args = {"program_id": "qa", "inputs": {"question": "still there?"}}
        reply = await pool.call("execute_program", args, idempotent=True)
        assert reply["outputs"] == {"answer": answer_to("still there?")}
        async with pool.checkout() as worker:
            assert worker.pid != killed
    assert [request.body["model"] for request in server.requests] == ["common"]


# Programs


async def test_a_program_runs_is_listed_and_is_deleted_elsewhere_while_its_worker_is_held(
    server: OpenAIServer,
) -> None:
    async with dspy_pool(lm(server), size=2) as pool, pool.checkout() as maker:
        await create(maker)
        held = server.hold()
        at_provider = asyncio.create_task(ask(maker, "held"))
        await server.arrived(1)

        async with pool.checkout() as other:
            assert other.pid != maker.pid
            reply = await ask(other, "free")
            assert reply["outputs"] == {"answer": answer_to("free")}
            assert await programs(other) == ["qa"]
            await other.call("delete_program", {"program_id": "qa"})
            assert await programs(other) == []
        assert not at_provider.done()

        held.release()
        assert (await at_provider)["outputs"] == {"answer": answer_to("held")}
        assert await programs(maker) == []
        with pytest.raises(RemoteError, match="Program not found: qa"):
            await ask(maker)


async def test_a_redefined_program_never_runs_in_its_old_form(server: OpenAIServer) -> None:
    async with (
        dspy_pool(lm(server), size=2) as pool,
        pool.checkout() as one,
        pool.checkout() as other,
    ):
        forms = [(one, "answer"), (other, "verdict"), (one, "verdict"), (one, "answer")]
        for definer, output in forms:
            await create(definer, f"question -> {output}")
            for worker in (one, other):
                assert list((await ask(worker))["outputs"]) == [output]
    expected = [[output] for _, output in forms for _ in range(2)]
    assert [request.wanted for request in server.requests] == expected


async def test_a_program_redefined_while_its_old_form_runs_is_new_in_the_next_call(
    server: OpenAIServer,
) -> None:
    async with (
        dspy_pool(lm(server), size=2) as pool,
        pool.checkout() as busy,
        pool.checkout() as other,
    ):
        await create(busy)
        held = server.hold()
        running = asyncio.create_task(ask(busy))
        await server.arrived(1)
        await create(other, "question -> verdict")
        held.release()
        assert list((await running)["outputs"]) == ["answer"]
        assert list((await ask(busy))["outputs"]) == ["verdict"]


async def test_sessions_never_see_each_others_programs(server: OpenAIServer) -> None:
    async with (
        dspy_pool(lm(server), size=2) as pool,
        pool.checkout() as one,
        pool.checkout() as other,
    ):
        await create(one, "question -> answer", session="s1")
        await create(one, "question -> answer", "mine", session="s1")
        await create(other, "question -> verdict", session="s2")
        for worker in (one, other):
            assert sorted(await programs(worker, "s1")) == ["mine", "qa"]
            assert await programs(worker, "s2") == ["qa"]
            assert await programs(worker) == []
            assert list((await ask(worker, session="s1"))["outputs"]) == ["answer"]
            assert list((await ask(worker, session="s2"))["outputs"]) == ["verdict"]
            for stranger in ("s2", None):
                with pytest.raises(RemoteError, match="Program not found: mine"):
                    await ask(worker, program="mine", session=stranger)
        await one.call("cleanup_session", {"session_id": "s1"})
        for worker in (one, other):
            assert await programs(worker, "s1") == []
            assert await programs(worker, "s2") == ["qa"]


# The key


def everything_said(error: BaseException) -> str:
    return f"{error!r} {vars(error)} {''.join(traceback.format_exception(error))}"


@each_client
async def test_the_key_is_in_no_error_no_log_and_no_stats(
    server: OpenAIServer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bridgepool")
    server.plan(Refusal(401), Refusal(500))
    errors = []
    async with dspy_pool(lm(server, client.model)) as pool:
        await create(pool)
        for _ in range(2):
            with pytest.raises(RemoteError) as refused:
                await ask(pool)
            errors.append(refused.value)
        await ask(pool)
        for wrong in ({"model": None}, {"timeout": "soon"}, {"temperature": "hot"}):
            with pytest.raises(RemoteError) as misconfigured:
                await pool.call("configure_lm", {**lm(server, client.model), **wrong})
            errors.append(misconfigured.value)
        held = server.hold()
        with pytest.raises(CallTimeout) as late:
            await ask(pool, timeout=0.2)
        said = [*map(everything_said, [*errors, late.value]), repr(pool), repr(pool.stats())]
        held.release()

    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert logged
    assert [text for text in [*said, *logged] if KEY in text] == []


@each_client
async def test_a_key_that_the_provider_repeats_is_not_passed_on(
    server: OpenAIServer, client: Client
) -> None:
    server.plan(Refusal(401, message="this key is not valid: {authorization}"))
    async with dspy_pool(lm(server, client.model)) as pool:
        await create(pool)
        with pytest.raises(RemoteError) as refused:
            await ask(pool)
    assert refused.value.error_type == "LMAuthError"
    assert KEY not in everything_said(refused.value)


async def test_a_key_in_options_that_cannot_be_used_is_in_no_error_and_no_log(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bridgepool")
    async with dspy_pool(lm(server, temperature="hot"), max_restarts=0) as pool:
        with pytest.raises((WorkerStartError, EnvironmentInvalid), match="temperature") as refused:
            await pool.wait_ready()
        said = [everything_said(refused.value), repr(pool.stats())]
    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert [text for text in [*said, *logged] if KEY in text] == []


# Starting


@each_client
async def test_starting_sends_the_provider_nothing(server: OpenAIServer, client: Client) -> None:
    async with dspy_pool(lm(server, client.model), size=2) as pool:
        await pool.wait_ready()
        assert pool.stats().start_method == DEFAULTS["start_method"]
        assert server.requests == []


async def test_eight_simultaneous_starts_cause_one_validation() -> None:
    method = DEFAULTS["start_method"]
    async with WorkerPool("bridge.echo", size=8, start_concurrency=8, start_method=method) as pool:
        await pool.wait_ready(8)
        assert pool.stats().idle == 8
        assert pool.stats().validations == {"ok": 1}
