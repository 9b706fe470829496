"""The call in progress, for code that runs inside a command."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from functools import partial
from time import monotonic

from msgspec import Raw, Struct

from bridge.messages import ANONYMOUS, MAX_FORGET, MAX_NAME, NULL, Definition, to_json
from bridge.messages.trace import read_trace
from bridge.sender import Sender


class CallContext(Struct):
    """One call: its id and session, and what its reply must tell the pool.

    `compute` is how many seconds its command ran, in a batch for all calls; None if
    it never did. `phases` are the seconds of its own phases (see `bridge.phases`).
    """

    id: int
    session: str
    wire: Sender
    in_batch: bool = False
    trace: Raw = NULL
    define: Definition | None = None
    forget: list[str] = []
    forget_all: bool = False
    compute: float | None = None
    phases: dict[str, float] | None = None
    began: float | None = None

    def begin(self) -> None:
        """The command runs from here on."""
        self.began = monotonic()

    def stop(self) -> None:
        """The command has ended; without effect if none runs."""
        if self.began is not None:
            self.compute = monotonic() - self.began + (self.compute or 0.0)
            self.began = None


_current: ContextVar[CallContext] = ContextVar("bridge_call")


def current_call() -> CallContext:
    """Return the call in progress; raise `LookupError` outside a command."""
    return _current.get()


find_call = partial(_current.get, None)
"""Returns the call in progress, None outside a command."""

enter_call = _current.set
"""Makes a call the one in progress in the current context."""


def current_session() -> str:
    """The session of the call in progress, "anonymous" where none was given."""
    call = _current.get(None)
    return ANONYMOUS if call is None else call.session


def trace_context() -> dict[str, str]:
    """The trace that the call in progress is part of, as the caller's tracer has put it.

    With the W3C's propagators that is `traceparent`, and `tracestate` and `baggage`
    where there are some: for `opentelemetry.propagate.extract`, say. Empty where the
    caller traces nothing, and outside a command.
    """
    call = find_call()
    return {} if call is None else read_trace(call.trace)


def define(key: str, definition: object, version: str | None = None) -> str:
    """Have the pool keep `definition` under `key`, in this call's session, for all workers.

    At most one definition a call. `version` tells two definitions of one key
    apart and is made up if not given. Returns the version. Raises `ValueError`
    if either is longer than 1,024 characters, and `RuntimeError` in a batch.
    """
    call = _changing()
    if len(key) > MAX_NAME or len(version or "") > MAX_NAME:
        raise ValueError(f"the key or version of a definition is over {MAX_NAME} characters")
    if call.define is not None:
        raise RuntimeError(f"this call has defined {call.define.key!r} already")
    version = version or uuid.uuid4().hex
    call.define = Definition(key, version, Raw(to_json(definition)))
    return version


def forget(*keys: str) -> None:
    """Have the pool, and through it every worker, forget `keys` of this session.

    A pool keeps at most 10,000 definitions: of more keys the last are told.
    """
    call = _changing()
    call.forget = [*call.forget, *(key for key in keys if len(key) <= MAX_NAME)][-MAX_FORGET:]


def forget_all() -> None:
    """Have the pool, and through it every worker, forget all keys of all sessions."""
    _changing().forget_all = True


def _changing() -> CallContext:
    """The call in progress, if its reply can tell of definitions."""
    call = _current.get()
    if call.in_batch:
        raise RuntimeError("definitions cannot be made or forgotten in a batch")
    return call
