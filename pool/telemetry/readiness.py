"""Whether a pool is ready for work. Pure."""

from __future__ import annotations

from typing import Any

from pool.ledger import Ledger
from pool.lifecycle import PoolState


def why_not_ready(ledger: Ledger[Any], problems: tuple[str, ...], now: float) -> str | None:
    """Why no work should come now; None if it may. `problems` are what its environment has."""
    name, state = ledger.config.pool_name, ledger.life.state
    if state is PoolState.FAILED:
        return str(ledger.refusal(now))
    if state is not PoolState.OPEN:
        return f"{name}: the pool is {state.value}"
    if problems:
        return f"{name}: the environment cannot run the bridge: {'; '.join(problems)}"
    return _too_few(ledger)


def _too_few(ledger: Ledger[Any]) -> str | None:
    """Workers that have answered and can be lent count; spares do as soon as they serve."""
    serving, least = ledger.counts().serving, ledger.config.min_ready
    if serving >= least:
        return None
    cause = ledger.restarts.last_cause
    why = "they are starting" if cause is None else f"they fail to start: {cause}"
    return f"{ledger.config.pool_name}: {serving} of min_ready={least} workers are ready; {why}"
