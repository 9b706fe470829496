"""What a pool makes of the times that a child tells, whatever these are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.messages.secrets import HIDDEN
from pool.telemetry.chronicle import MAX_PHASES
from pool.telemetry.events import CallFinished, Event
from pool.testing import Obedient, ScriptedLauncher, ScriptedPool, run
from pool.testing.script import Request


class Telling(Obedient):
    """Adds members of the test's to each reply."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__()
        self._extra = told

    def members(self, request: Request) -> dict[str, Any]:
        return self._extra


def heard_of(**told: Any) -> CallFinished:
    """One call whose reply tells this."""
    heard: list[Event] = []

    async def main() -> None:
        launcher = ScriptedLauncher(lambda: Telling(told))
        options = {"api_key": "planted-secret"}
        async with ScriptedPool(launcher, size=1, options=options) as pool:
            pool.listen(heard.extend, [CallFinished])
            assert await pool.call("echo", {"a": 1}) == {"a": 1}

    run(main())
    (call,) = heard
    assert isinstance(call, CallFinished)
    return call


def test_seconds_are_told() -> None:
    call = heard_of(compute=0.5, phases={"a": 0.25, "b": 0})
    assert call.compute == 0.5
    assert call.phases is not None
    assert json.loads(bytes(call.phases)) == {"a": 0.25, "b": 0}


@pytest.mark.parametrize(
    "phases",
    [
        5,
        None,
        [],
        {"a": "long"},
        {"a": -1},
        {"a": {"b": 1}},
        {"x" * MAX_PHASES: 1},
    ],
)
def test_phases_that_make_no_sense_are_none(phases: object) -> None:
    assert heard_of(phases=phases).phases is None


@pytest.mark.parametrize("compute", [None, "long", [], -1])
def test_a_time_that_makes_no_sense_is_none(compute: object) -> None:
    assert heard_of(compute=compute).compute is None


def test_a_secret_in_the_name_of_a_phase_is_hidden() -> None:
    call = heard_of(phases={"with planted-secret": 1.0})
    assert call.phases is not None
    assert list(json.loads(bytes(call.phases))) == [f"with {HIDDEN}"]
