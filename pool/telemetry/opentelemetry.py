"""Spans of OpenTelemetry for calls and waits: the extra `telemetry`, of which the API is enough."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from opentelemetry.propagate import inject
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)

from pool.errors import RemoteError
from pool.telemetry.tracing import CallSpan


class OpenTelemetryTracer:
    """`pool.trace(OpenTelemetryTracer())`: spans by `provider`, by default the global one.

    A call is a client's span named after its command, with the attributes of the
    semantic conventions for RPC, and `bridgepool.pool`, `bridgepool.worker` and
    `bridgepool.worker.pid`, a batch with `bridgepool.calls` and, if some of them failed,
    `bridgepool.failed`; one that had to wait for a worker has a span `checkout`
    inside, as has a `pool.checkout()` that waits. Parent is the span that is current
    where the call is made. Its context travels with the request in the form of the
    global propagator: `extract(bridge.trace_context())` in a command continues it.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("bridgepool", version("bridgepool"), provider)

    def begin_call(self, pool: str, command: str) -> CallOfTrace:
        attributes = {
            "rpc.system.name": "bridgepool",
            "rpc.method": command,
            "bridgepool.pool": pool,
        }
        span = self._tracer.start_span(command, kind=SpanKind.CLIENT, attributes=attributes)
        return CallOfTrace(span)

    def begin_checkout(self, pool: str, within: CallSpan | None) -> PartOfTrace:
        parent = set_span_in_context(within.span) if isinstance(within, CallOfTrace) else None
        attributes = {"bridgepool.pool": pool}
        return PartOfTrace(self._tracer.start_span("checkout", parent, attributes=attributes))


class PartOfTrace:
    """A span, and how it ends."""

    def __init__(self, span: Span) -> None:
        self.span = span

    def end(self, error: BaseException | None) -> None:
        if error is not None:
            self._fail(error)
        self.span.end()

    def _fail(self, error: BaseException) -> None:
        kind = type(error).__name__
        if isinstance(error, RemoteError):
            kind = error.error_type or kind
        self.span.set_attribute("error.type", kind)
        if isinstance(error, asyncio.CancelledError):
            self.span.set_status(StatusCode.ERROR, "cancelled")
        else:
            self.span.record_exception(error)
            self.span.set_status(StatusCode.ERROR, str(error))


class CallOfTrace(PartOfTrace):
    """The span of a call."""

    @property
    def carrier(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        inject(carrier, set_span_in_context(self.span))
        return carrier

    def sent(self, worker: str, pid: int | None, calls: int) -> None:
        self.span.set_attribute("bridgepool.worker", worker)
        if pid is not None:
            self.span.set_attribute("bridgepool.worker.pid", pid)
        if calls > 1:
            self.span.set_attribute("bridgepool.calls", calls)
        self.span.add_event("sent", {"bridgepool.worker": worker})

    def failed(self, calls: int) -> None:
        self.span.set_attribute("bridgepool.failed", calls)
        self.span.set_status(StatusCode.ERROR, f"{calls} calls of the batch failed")
