"""Calls, and waits for a worker, as spans of the traces of whoever makes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from bridge.messages import NULL
from bridge.messages.trace import write_trace

_log = logging.getLogger("bridgepool")


class Span(Protocol):
    """What a tracer has begun."""

    def end(self, error: BaseException | None) -> None:
        """It is over, once: well, or with what its caller gets to see."""
        ...


class CallSpan(Span, Protocol):
    """A call from its caller's point of view, with the wait for a worker and all repetitions."""

    @property
    def carrier(self) -> Mapping[str, str]:
        """What the worker is told of the trace: `traceparent`, say. At most 16 KiB of JSON."""
        ...

    def sent(self, worker: str, pid: int | None, calls: int) -> None:
        """It was written to a worker, as a batch of so many `calls`; again if it is repeated."""
        ...

    def failed(self, calls: int) -> None:
        """So many calls of the batch that it is have failed, though the batch was answered."""
        ...


class Tracer(Protocol):
    """Begins spans for what happens in the context of whoever calls it; None is no span.

    It should be quick, on the pool's event loop. If anything of it raises, that is
    logged, no call is the worse for it, and it is asked for nothing more.
    """

    def begin_call(self, pool: str, command: str) -> CallSpan | None:
        """A command is about to be called, of a pool of that name."""
        ...

    def begin_checkout(self, pool: str, within: CallSpan | None) -> Span | None:
        """No worker was idle, and somebody begins to wait for one: a call, or a checkout."""
        ...


class Traced:
    """The span of one call; `trace` is JSON of what its request carries."""

    def __init__(self, tracing: Tracing, span: CallSpan) -> None:
        self.span = span
        self.trace = NULL
        self._tracing = tracing
        with tracing.harmless():
            self.trace = write_trace(span.carrier)

    def sent(self, worker: str, pid: int | None, calls: int) -> None:
        with self._tracing.harmless():
            self.span.sent(worker, pid, calls)

    def failed(self, calls: int) -> None:
        with self._tracing.harmless():
            self.span.failed(calls)


Around = Callable[[str], AbstractContextManager[Traced | None]]
"""Given a command: what one call of it is made in."""


class Tracing:
    """Tells one pool's tracer what it wants to know, as long as it does not fail."""

    def __init__(self, pool: str, tracer: Tracer) -> None:
        self._pool = pool
        self._tracer: Tracer | None = tracer

    @contextmanager
    def harmless(self) -> Iterator[None]:
        """Around whatever is the tracer's own code."""
        try:
            yield
        except Exception:
            _log.exception("%s: the tracer failed: nothing more is traced", self._pool)
            self._tracer = None

    def around(self, inner: Callable[[str], AbstractContextManager[None]]) -> Around:
        """What a call is made in: a span, and `inner` within it."""

        @contextmanager
        def traced_call(command: str) -> Iterator[Traced | None]:
            traced = self._begin_call(command)
            with self._until_end(_span_of(traced)), inner(command):
                yield traced

        return traced_call

    def waiting(self, within: Traced | None) -> AbstractContextManager[None]:
        """What the wait for a worker is done in, of a call if there is one."""
        span = None
        with self.harmless():
            if self._tracer is not None:
                span = self._tracer.begin_checkout(self._pool, _span_of(within))
        return self._until_end(span)

    def _begin_call(self, command: str) -> Traced | None:
        span = None
        with self.harmless():
            if self._tracer is not None:
                span = self._tracer.begin_call(self._pool, command)
        return None if span is None else Traced(self, span)

    @contextmanager
    def _until_end(self, span: Span | None) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._end(span, error)
            raise
        self._end(span, None)

    def _end(self, span: Span | None, error: BaseException | None) -> None:
        if span is not None:
            with self.harmless():
                span.end(error)


def _span_of(traced: Traced | None) -> CallSpan | None:
    return None if traced is None else traced.span
