"""One run of a program, with settings of its own, beside any number of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dspy

from bridge.dspy_bridge.building import Built
from bridge.dspy_bridge.errors import error_details
from bridge.dspy_bridge.lm import token_usage


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run ends with: outputs by the client's names, and tokens by kind."""

    outputs: dict[str, Any]
    usage: dict[str, int]


@contextmanager
def call_settings(lm: dspy.LM) -> Iterator[Any]:
    """What dspy is set to, and its count of tokens, for the current call alone.

    `dspy.configure` belongs to one thread and task for ever. dspy's history
    and its trace would keep the prompts of this worker's last 10,000 calls.
    """
    trace: list[Any] = []
    with dspy.context(lm=lm, disable_history=True, trace=trace), dspy.track_usage() as tracker:
        try:
            yield tracker
        finally:
            # A connection that the call opened keeps the call's context for as long as it lives.
            trace.clear()


@contextmanager
def with_details() -> Iterator[None]:
    """Give dspy's errors what is known about the request that failed."""
    try:
        yield
    except dspy.utils.exceptions.DSPyError as error:
        error.details = error_details(error)
        raise


def outcome(built: Built, prediction: Any, tracker: Any) -> Outcome:
    return Outcome(built.outputs(prediction), token_usage(tracker.get_total_tokens()))


async def execute(built: Built, inputs: dict[str, Any], lm: dspy.LM) -> Outcome:
    """Run to the end. If it is cancelled, its request to the provider is closed."""
    arguments = built.named(inputs)
    with call_settings(lm) as tracker, with_details():
        return outcome(built, await built.module.acall(**arguments), tracker)
