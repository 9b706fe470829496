"""What the workers of a benchmark do, as bridges and as plain functions."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

SIGNATURE = "question -> answer"


@dataclass(frozen=True)
class Workload:
    """One kind of worker. Without a `model` it is bare: an operation sleeps `pause` seconds.

    With one, an operation executes a DSPy program with that LM.
    """

    name: str
    model: str | None = None
    pause: float = 0.005

    @property
    def bridge(self) -> str:
        return "bridge.echo" if self.model is None else "bridge.dspy_bridge"

    def options(self, api_base: str | None) -> dict[str, Any] | None:
        """The start-up options of the bridge."""
        if self.model is None:
            return None
        lm: dict[str, Any] = {"model": self.model}
        if self.model == "local/echo":
            lm["latency"] = self.pause
        else:
            lm |= {"api_base": api_base, "api_key": "none", "num_retries": 0}
        return {"lm": lm}


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("bare"),
        Workload("dspy", "openai/test-model"),
        Workload("dspy+litellm", "together_ai/test-model"),
        Workload("dspy, local LM", "local/echo"),
        Workload("dspy, local LM, 50 ms", "local/echo", pause=0.05),
    )
}


# For pools that run functions: the same work by the same code, without a bridge.

_state: dict[str, Any] = {}


def load(name: str, api_base: str | None) -> None:
    """Initialise a worker process."""
    workload = WORKLOADS[name]
    _state["workload"] = workload
    options = workload.options(api_base)
    if options is not None:
        import msgspec

        from bridge.dspy_bridge.lm import LMConfig, make_lm

        # As bridgepool's bridge does, so that neither fetches a price list.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        _state["lm"] = make_lm(msgspec.convert(options["lm"], LMConfig))
        if workload.name == "dspy+litellm":
            import litellm

            _ = litellm.completion


def operate(question: str, create: bool) -> tuple[int, float]:
    """One operation; return who did it and when it was begun (`time.monotonic`)."""
    begun = time.monotonic()
    if _state["workload"].model is None:
        time.sleep(_state["workload"].pause)
    else:
        from bridge.dspy_bridge.building import build
        from bridge.dspy_bridge.execution import call_settings

        if create or "program" not in _state:
            _state["program"] = build(SIGNATURE, "predict").module
        with call_settings(_state["lm"]):
            _state["program"](question=question)
    return os.getpid(), begun


def idle(seconds: float) -> int:
    """Keep one worker busy, so that the next call gets another one."""
    time.sleep(seconds)
    return os.getpid()
