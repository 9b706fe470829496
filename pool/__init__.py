"""The parent side: a supervised pool of subprocesses that run bridges.

::

    from pool import WorkerPool

    async with WorkerPool("bridge.echo", size=8) as pool:
        async with pool.checkout(timeout=5.0) as worker:
            reply = await worker.call("echo", {"text": "hello"})
"""

import logging

from pool.circuit.breaker import Breaker
from pool.config import PoolConfig
from pool.errors import (
    BrokenWorkerError,
    CallTimeout,
    CircuitOpen,
    EnvironmentInvalid,
    LeaseClosed,
    PoolClosed,
    PoolError,
    PoolSaturated,
    PoolTimeout,
    ProtocolError,
    RemoteError,
    RequestError,
    ResultTypeError,
    WorkerError,
    WorkerStartError,
)
from pool.lease import Lease
from pool.lifecycle import PoolState
from pool.pool import WorkerPool
from pool.stats import PoolStats, WorkerStats
from pool.sync.lease import SyncLease
from pool.sync.pool import SyncWorkerPool
from pool.version import VERSION

# An application that configures no logging sees nothing of ours.
logging.getLogger("bridgepool").addHandler(logging.NullHandler())

__version__ = VERSION

__all__ = [
    "WorkerPool",
    "SyncWorkerPool",
    "Lease",
    "SyncLease",
    "PoolConfig",
    "Breaker",
    "PoolState",
    "PoolStats",
    "WorkerStats",
    "PoolError",
    "PoolClosed",
    "PoolSaturated",
    "PoolTimeout",
    "EnvironmentInvalid",
    "CircuitOpen",
    "RequestError",
    "LeaseClosed",
    "CallTimeout",
    "WorkerError",
    "WorkerStartError",
    "BrokenWorkerError",
    "ProtocolError",
    "ResultTypeError",
    "RemoteError",
]
