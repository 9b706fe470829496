"""Calls as spans: what a tracer is told, and what of it reaches the command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pool import (
    BrokenWorkerError,
    CallTimeout,
    PoolTimeout,
    RemoteError,
    SyncWorkerPool,
    WorkerPool,
)
from pool.telemetry.opentelemetry import OpenTelemetryTracer
from pool.telemetry.tracing import CallSpan, Span
from tests.contract.pools import make_pool
from tests.contract.raw_client import RawClient

BRIDGE = "tests.contract.timed_bridge"


class Traces:
    """The spans that have ended, and where they come from."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


@pytest.fixture
def traces() -> Any:
    made = Traces()
    yield made
    made.provider.shutdown()


def traced_pool(traces: Traces, bridge: str = BRIDGE, **options: Any) -> WorkerPool:
    pool = make_pool("forkserver", bridge, **{"size": 1, **options})
    pool.trace(OpenTelemetryTracer(traces.provider))
    return pool


def identity(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def received(carrier: Mapping[str, str]) -> tuple[int, int]:
    context = TraceContextTextMapPropagator().extract(dict(carrier))
    there = trace.get_current_span(context).get_span_context()
    return there.trace_id, there.span_id


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_a_call_is_a_span_that_its_command_knows(traces: Traces, concurrency: int) -> None:
    async with traced_pool(traces, concurrency=concurrency) as pool:
        await pool.wait_ready()
        with traces.tracer.start_as_current_span("request") as request:
            carrier = await pool.call("trace")
        (worker,) = pool.stats().workers
    span = traces.one("trace")
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes == {
        "rpc.system.name": "bridgepool",
        "rpc.method": "trace",
        "bridgepool.pool": pool.name,
        "bridgepool.worker": worker.name,
        "bridgepool.worker.pid": worker.pid,
    }
    assert span.parent == request.get_span_context()
    assert received(carrier) == identity(span)
    assert not traces.named("checkout")  # the worker was idle


async def test_a_wait_for_a_worker_is_a_span_in_that_of_its_call(traces: Traces) -> None:
    async with traced_pool(traces) as pool:
        await pool.call("silent")
    checkout, call = traces.one("checkout"), traces.one("silent")
    assert checkout.parent == call.get_span_context()
    assert checkout.start_time is not None
    assert checkout.end_time is not None
    assert checkout.end_time > checkout.start_time
    assert [event.name for event in call.events] == ["sent"]
    assert call.events[0].timestamp >= checkout.end_time


async def test_a_checkout_that_waits_is_a_span_of_its_own(traces: Traces) -> None:
    async with traced_pool(traces) as pool:
        with traces.tracer.start_as_current_span("request") as request:
            async with pool.checkout() as worker:
                carrier = await worker.call("trace")
                with pytest.raises(PoolTimeout):
                    async with pool.checkout(timeout=0.02):
                        pass
    first, second = traces.named("checkout")
    assert first.parent == second.parent == request.get_span_context()
    assert first.status.status_code is StatusCode.UNSET
    assert second.status.status_code is StatusCode.ERROR
    assert second.attributes is not None
    assert second.attributes["error.type"] == "PoolTimeout"
    assert received(carrier) == identity(traces.one("trace"))


async def test_calls_that_run_together_know_each_their_own(traces: Traces) -> None:
    async with traced_pool(traces, concurrency=8) as pool:
        await pool.wait_ready()
        calls = (pool.call("atrace", {"seconds": 0.01}) for _ in range(8))
        carriers = await asyncio.gather(*calls)
    assert {received(c) for c in carriers} == {identity(s) for s in traces.named("atrace")}
    assert len(traces.named("atrace")) == 8


async def test_a_stream_is_one_span(traces: Traces) -> None:
    async with traced_pool(traces) as pool:
        async with pool.stream("traces", {"n": 2}) as items:
            carriers = [item async for item in items]
        async with pool.stream("traces", {"n": 2}) as items:
            await anext(items)
    whole, cut = traces.named("traces")
    assert [received(carrier) for carrier in carriers] == [identity(whole)] * 2
    assert whole.status.status_code is StatusCode.UNSET
    assert cut.status.status_code is StatusCode.ERROR


async def test_a_batch_is_one_span(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    # Also on a machine on which calls are slow.
    monkeypatch.setattr("pool.dataset.batching.TARGET", 10.0)
    async with (
        traced_pool(traces) as pool,
        pool.map("trace", [{}] * 40, max_in_flight=40) as results,
    ):
        carriers = [carrier async for carrier in results]
    spans = {identity(span): span for span in traces.named("trace")}
    assert {received(carrier) for carrier in carriers} == set(spans)
    sizes = [(span.attributes or {}).get("bridgepool.calls", 1) for span in spans.values()]
    assert sum(size for size in sizes if isinstance(size, int)) == 40
    assert len(sizes) < 40


async def test_calls_that_failed_in_a_batch_are_recorded(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pool.dataset.batching.TARGET", 10.0)
    odd = [{"odd": i % 2} for i in range(40)]
    async with traced_pool(traces) as pool:
        async with pool.map("fails_if", odd, max_in_flight=40, return_exceptions=True) as results:
            assert len([result async for result in results]) == 40
        assert pool.stats().calls == {"ok": 20, "error": 20}
    spans = traces.named("fails_if")
    batches = [span for span in spans if "bridgepool.calls" in (span.attributes or {})]
    assert batches
    failed = [(span.attributes or {}).get("bridgepool.failed", 0) for span in batches]
    alone = [span for span in spans if span not in batches and not span.status.is_ok]
    assert sum(count for count in failed if isinstance(count, int)) + len(alone) == 20
    assert {span.status.status_code for span in batches} == {StatusCode.ERROR}


async def test_what_went_wrong_is_recorded(traces: Traces) -> None:
    async with traced_pool(traces) as pool:
        with pytest.raises(RemoteError):
            await pool.call("fails", {"seconds": 0})
    span = traces.one("fails")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ValueError: no luck"
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ValueError"
    assert [event.name for event in span.events] == ["sent", "exception"]


async def test_a_repeated_call_is_one_span_sent_twice(traces: Traces) -> None:
    async with traced_pool(traces, "bridge.faulty", size=1) as pool:
        with pytest.raises(BrokenWorkerError):
            await pool.call("crash", {}, idempotent=True, attempts=2)
    span = traces.one("crash")
    assert [event.name for event in span.events] == ["sent", "sent", "exception"]
    assert len({(event.attributes or {}).get("bridgepool.worker") for event in span.events}) == 3


@pytest.mark.parametrize("how", ["timeout", "cancelled", "lost"])
async def test_however_a_call_ends_its_span_does(traces: Traces, how: str) -> None:
    async with traced_pool(traces) as pool:
        await pool.wait_ready()
        timeout = 0.02 if how == "timeout" else 30
        args = {"seconds": 0.3 if how != "lost" else 30}
        call = asyncio.create_task(pool.call("atrace", args, timeout=timeout))
        while not pool.stats().inflight_calls:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        if how == "cancelled":
            call.cancel()
        elif how == "lost":
            (worker,) = pool.stats().workers
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises((CallTimeout, asyncio.CancelledError, BrokenWorkerError)) as caught:
            await call
    span = traces.one("atrace")
    assert span.end_time is not None
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == caught.type.__name__


def test_threads_have_traces_of_their_own(traces: Traces) -> None:
    pool = SyncWorkerPool(BRIDGE, size=1, grace_period=2.0)
    pool.trace(OpenTelemetryTracer(traces.provider))
    with pool, traces.tracer.start_as_current_span("request") as request:
        carrier = pool.call("trace")
    assert traces.one("trace").parent == request.get_span_context()
    assert received(carrier) == identity(traces.one("trace"))


async def test_a_foreign_bridge_is_served_with_a_trace(traces: Traces) -> None:
    script = str(Path(__file__).parent / "foreign_plain.py")
    pool = WorkerPool(argv=[sys.executable, script], size=1, grace_period=0.2)
    pool.trace(OpenTelemetryTracer(traces.provider))
    async with pool:
        assert await pool.call("echo", {"a": 1}) == {"a": 1}
    assert traces.one("echo").status.status_code is StatusCode.UNSET


async def test_nothing_is_sent_where_nobody_traces() -> None:
    async with make_pool("forkserver", BRIDGE, size=1) as pool:
        assert await pool.call("trace") == {}
        pool.trace(OpenTelemetryTracer())  # of no SDK: spans without identity
        assert await pool.call("trace") == {}


async def test_tracing_ends_when_it_is_told_to(traces: Traces) -> None:
    async with traced_pool(traces) as pool:
        await pool.call("silent")
        pool.trace(None)
        assert await pool.call("trace") == {}
    assert not traces.named("trace")


# A tracer of one's own


class Failing:
    """Raises in one of its steps."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.begun = 0

    def _come_to(self, step: str) -> None:
        if step == self.step:
            raise ZeroDivisionError(step)

    def begin_call(self, pool: str, command: str) -> CallSpan | None:
        self.begun += 1
        self._come_to("begin_call")
        return self

    def begin_checkout(self, pool: str, within: CallSpan | None) -> Span | None:
        self._come_to("begin_checkout")
        return self

    @property
    def carrier(self) -> dict[str, str]:
        self._come_to("carrier")
        return {"traceparent": "x"}

    def sent(self, worker: str, pid: int | None, calls: int) -> None:
        self._come_to("sent")

    def failed(self, calls: int) -> None:
        self._come_to("failed")

    def end(self, error: BaseException | None) -> None:
        self._come_to("end")


@pytest.mark.parametrize("step", ["begin_call", "begin_checkout", "carrier", "sent", "end"])
async def test_a_tracer_that_fails_costs_no_call(
    step: str, caplog: pytest.LogCaptureFixture
) -> None:
    pool, tracer = make_pool("forkserver", BRIDGE, size=1), Failing(step)
    pool.trace(tracer)
    async with pool:
        assert await pool.call("silent") == "done"
        assert await pool.call("silent") == "done"
        assert pool.stats().idle == 1
    assert tracer.begun == 1
    assert "the tracer failed" in caplog.text


class Telling:
    """Tells the worker whatever a test wants."""

    def __init__(self, carrier: dict[str, str]) -> None:
        self.carrier = carrier

    def begin_call(self, pool: str, command: str) -> CallSpan | None:
        return self

    def begin_checkout(self, pool: str, within: CallSpan | None) -> Span | None:
        return None

    def sent(self, worker: str, pid: int | None, calls: int) -> None: ...

    def failed(self, calls: int) -> None: ...

    def end(self, error: BaseException | None) -> None: ...


async def test_a_trace_is_told_up_to_a_length_and_left_out_beyond() -> None:
    async with make_pool("forkserver", BRIDGE, size=1) as pool:
        for carrier, told in [
            ({"traceparent": "é" * 4_000}, {"traceparent": "é" * 4_000}),
            ({"traceparent": "x" * 17_000}, {}),
            ({"traceparent": "\udc80"}, {}),
        ]:
            pool.trace(Telling(carrier))
            assert await pool.call("trace") == told
            assert await pool.call("silent") == "done"


@pytest.mark.parametrize("sent", [5, None, [], {"a": 1}, {"a": "x" * 17_000}, "text"])
def test_a_trace_that_makes_no_sense_is_none(sent: object) -> None:
    with RawClient(BRIDGE) as client:
        assert client.ask("trace", trace=sent)["result"] == {}
        assert client.ask("trace", trace={"a": "b"})["result"] == {"a": "b"}


async def test_long_arguments_travel_with_a_trace() -> None:
    async with make_pool("forkserver", size=1) as pool:
        pool.trace(Telling({"traceparent": "x"}))
        text = "x" * 200_000
        assert await pool.call("echo", {"text": text}) == {"text": text}
