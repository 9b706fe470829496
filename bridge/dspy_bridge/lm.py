"""From the arguments of `configure_lm` to a dspy LM."""

from __future__ import annotations

from typing import Any

import dspy
from msgspec import Struct

from bridge.dspy_bridge import echo_lm

_PROVIDER_PREFIX = {"google": "gemini"}
"""DSPex clients say "google" and a bare model name; dspy wants `gemini/NAME`."""


class LMConfig(Struct, omit_defaults=True):
    """What `configure_lm` takes. `cache` is off: a pool answers from disk only if asked."""

    model: str
    api_key: str | None = None
    api_base: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    provider: str | None = None
    cache: bool = False
    timeout: float | None = None
    num_retries: int | None = None
    latency: float = 0.0
    failure_rate: float = 0.0
    seed: int = 0

    @property
    def full_model(self) -> str:
        """The model's name with its provider, as dspy expects it."""
        if self.provider and "/" not in self.model:
            return f"{_PROVIDER_PREFIX.get(self.provider, self.provider)}/{self.model}"
        return self.model


def make_lm(config: LMConfig) -> dspy.LM:
    """Make the LM; nothing is sent anywhere yet. A bad configuration raises what dspy raises."""
    if config.full_model == echo_lm.MODEL:
        return echo_lm.make_echo_lm(config.latency, config.failure_rate, config.seed)
    return dspy.LM(config.full_model, cache=config.cache, **_given(config))


def _given(config: LMConfig) -> dict[str, Any]:
    names = ("api_key", "api_base", "temperature", "max_tokens", "timeout", "num_retries")
    values = {name: getattr(config, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def token_usage(by_model: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Sum the token counts that dspy tracked over all models."""
    total: dict[str, int] = {}
    for usage in by_model.values():
        for name, count in usage.items():
            if name.endswith("_tokens") and isinstance(count, int):
                total[name] = total.get(name, 0) + count
    return total
