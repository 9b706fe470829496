"""How a call ended, in the words of the metric of calls. Pure."""

from __future__ import annotations

from pool.errors import CallTimeout, PoolError, ProtocolError, WorkerError


def outcome_of(error: PoolError) -> str:
    """The word for a call that failed of `error` without a reply."""
    if isinstance(error, CallTimeout):
        return "timeout"
    if isinstance(error, ProtocolError):
        return "protocol"
    return "worker_lost" if isinstance(error, WorkerError) else "cancelled"
