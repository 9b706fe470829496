"""The steps of a cold start."""

from __future__ import annotations

import pytest

from pool.cli.doctor.steps import cold_start
from pool.telemetry.events import (
    CallFinished,
    CheckoutGranted,
    Event,
    PoolOpened,
    TemplateLoaded,
    WorkerStarted,
)


def heard(imports: float = 0.0, start_up: float = 2.0) -> list[Event]:
    """Opened at 100, the template from 101 to 111, a worker from 112 to 117, a call from 118."""
    return [
        PoolOpened("p", 100.0, 1, 0, "forkserver"),
        TemplateLoaded("p", 111.0, "t", 1, 1, 10.0, 5.0, 2.0, 1.0),
        WorkerStarted("p", 117.0, "w", 2, 0, 1, 1.0, imports, start_up, 5.0),
        CheckoutGranted("p", 117.5, "w", 17.5),
        CallFinished("p", 119.0, "w", "ping", "ok", 0.0, 1.0, None, 2, 50),
    ]


def rows(events: list[Event], *, forked: bool) -> list[tuple[str, float, float]]:
    start = cold_start(events, forked=forked)
    assert start.total_s == 19.0
    return [(step.step, step.begin_s, step.seconds) for step in start.steps]


def test_a_forked_start() -> None:
    assert rows(heard(), forked=True) == [
        ("template: interpreter", 1.0, 2.0),
        ("template: import", 3.0, 5.0),
        ("template: preload", 8.0, 2.0),
        ("template: freeze", 10.0, 1.0),
        ("worker: fork", 12.0, 1.0),
        ("worker: handshake", 13.0, 2.0),
        ("worker: start-up", 15.0, 2.0),
        ("first checkout", 17.0, 0.5),
        ("first reply", 18.0, 1.0),
    ]


def test_a_spawned_start_has_no_template() -> None:
    opened, _, *rest = heard(imports=1.5)
    assert rows([opened, *rest], forked=False) == [
        ("worker: launch", 12.0, 1.0),
        ("worker: interpreter", 13.0, 0.5),
        ("worker: import", 13.5, 1.5),
        ("worker: start-up", 15.0, 2.0),
        ("first checkout", 17.0, 0.5),
        ("first reply", 18.0, 1.0),
    ]


@pytest.mark.parametrize("forked", [True, False])
def test_a_child_that_tells_more_than_there_was_makes_no_step_negative(forked: bool) -> None:
    assert all(seconds >= 0 for _, _, seconds in rows(heard(start_up=99.0), forked=forked))
