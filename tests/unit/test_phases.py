"""The phases of a command, and what a call knows of itself."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import Any, cast

import pytest
from msgspec import Raw

from bridge import phase, trace_context
from bridge.context import CallContext, enter_call
from bridge.phases import MAX_PHASES, _add, phases_of
from bridge.sender import Sender


def call(trace: bytes | None = None) -> CallContext:
    made = CallContext(1, "anonymous", cast("Sender", None))
    if trace is not None:
        made.trace = Raw(trace)
    return made


def within(made: CallContext, *names: str) -> None:
    def run() -> None:
        enter_call(made)
        for name in names:
            with phase(name):
                pass

    copy_context().run(run)


def test_outside_a_command_there_is_nothing_to_tell_and_nothing_wrong() -> None:
    with phase("alone"), phase("inside"):
        pass
    assert trace_context() == {}


def test_what_is_raised_inside_goes_on_and_is_measured() -> None:
    made = call()

    def run() -> None:
        enter_call(made)
        with phase("bad"):
            raise KeyError

    with pytest.raises(KeyError):
        copy_context().run(run)
    assert set(phases_of(made) or {}) == {"bad"}


def test_a_call_without_phases_tells_none() -> None:
    assert phases_of(call()) is None


def test_seconds_are_told_to_the_microsecond() -> None:
    made = call()
    made.phases = {"a": 0.00000049, "b": 1.23456789}
    assert phases_of(made) == {"a": 0.0, "b": 1.234568}


def test_names_beyond_the_most_are_left_out_and_the_others_still_summed() -> None:
    made = call()
    within(made, *(str(i) for i in range(MAX_PHASES + 1)))
    before = dict(made.phases or {})
    within(made, "0", "one too many")
    told = made.phases or {}
    assert len(told) == MAX_PHASES
    assert told["0"] > before["0"]
    assert told["1"] == before["1"]


def test_phases_that_end_on_two_threads_lose_nothing() -> None:
    """The second ends while the first has read the sum and not written it yet."""
    made = call()

    class Interrupted(dict[str, float]):
        def get(self, name: str, default: Any = None) -> Any:
            read = super().get(name, default)
            if not others:
                others.append(threading.Thread(target=_add, args=(made, "same", 1.0)))
                others[0].start()
                others[0].join(0.05)  # it may have to wait until the first is done
            return read

    others: list[threading.Thread] = []
    made.phases = Interrupted()
    _add(made, "same", 1.0)
    others[0].join()
    assert phases_of(made) == {"same": 2.0}


def computed(made: CallContext) -> float:
    assert made.compute is not None
    return made.compute


def test_a_command_that_never_ran_took_no_time() -> None:
    made = call()
    made.stop()
    assert made.compute is None


def test_the_command_runs_from_begin_to_stop_as_often_as_it_does() -> None:
    made = call()
    made.begin()
    made.stop()
    first = computed(made)
    made.stop()
    assert computed(made) == first >= 0
    made.begin()
    made.stop()
    assert computed(made) > first


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b'{"traceparent":"00-1-2-01","tracestate":"a=b"}', {"traceparent", "tracestate"}),
        (b"{}", set()),
        (b"null", set()),
        (b'{"a":1}', set()),
        (b'{"a":"' + b"x" * 17_000 + b'"}', set()),
        (b"[" * 1_000 + b"]" * 1_000, set()),
    ],
)
def test_a_trace_is_an_object_of_texts_or_none(sent: bytes, read: set[str]) -> None:
    def run() -> set[str]:
        enter_call(call(sent))
        return set(trace_context())

    assert copy_context().run(run) == read
