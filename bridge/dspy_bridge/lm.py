"""From the arguments of `configure_lm` to a dspy LM, and who uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
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


@dataclass(slots=True)
class _Lent:
    lm: dspy.LM
    calls: int = 0


class CurrentLM:
    """The LM that calls begin with; each keeps the one it began with to its end.

    One that is replaced closes its connections when its last call is over.
    """

    def __init__(self) -> None:
        self._current: _Lent | None = None

    def begin(self, lm: dspy.LM) -> None:
        """Have a first LM."""
        self._current = _Lent(lm)

    async def replace(self, lm: dspy.LM) -> None:
        """Have calls that begin from now on use another LM."""
        replaced, self._current = self._current, _Lent(lm)
        if replaced is not None and not replaced.calls:
            await replaced.lm.aclose()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[dspy.LM]:
        """The LM, for one call; raise `RuntimeError` if there is none."""
        lent = self._current
        if lent is None:
            raise RuntimeError("No LM is loaded.")
        lent.calls += 1
        try:
            yield lent.lm
        finally:
            lent.calls -= 1
            if lent is not self._current and not lent.calls:
                await lent.lm.aclose()


def token_usage(by_model: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Sum the token counts that dspy tracked over all models."""
    total: dict[str, int] = {}
    for usage in by_model.values():
        for name, count in usage.items():
            if name.endswith("_tokens") and isinstance(count, int):
                total[name] = total.get(name, 0) + count
    return total
