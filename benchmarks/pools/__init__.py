"""Every contender of the benchmarks of calls, behind one interface of a few methods.

A peer is imported when it is asked for, so that one that is not installed fails alone.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol


class Contender(Protocol):
    """A pool, or a bare loop, whose workers all do one job: see `benchmarks.jobs`."""

    backend: str
    """Where it lives: on "asyncio", "uvloop" or "trio"."""

    async def start(self, size: int, job: str) -> None:
        """Begin with `size` workers; those that start on demand may do so later."""
        ...

    async def alone(self, value: Any) -> Any:
        """Make a call beside which nothing else runs: it may block the event loop."""
        ...

    async def call(self, value: Any) -> Any:
        """Make one of many calls at a time; raise what callers of the pool see."""
        ...

    async def close(self) -> None: ...


_Maker = tuple[str, str, dict[str, Any]]

_OURS: dict[str, _Maker] = {
    "bridgepool, checkout": ("pools.ours", "Checkouts", {}),
    "bridgepool, call": ("pools.ours", "Calls", {}),
    "bridgepool, call, uvloop": ("pools.ours", "Calls", {"backend": "uvloop"}),
    "bridgepool, call, 16 on each": (
        "pools.ours",
        "Calls",
        {"command": "aecho", "concurrency": 16},
    ),
    "bridgepool, call, 16 on each, uvloop": (
        "pools.ours",
        "Calls",
        {"command": "aecho", "concurrency": 16, "backend": "uvloop"},
    ),
    "bridgepool, 2 workers, 500 on each": ("pools.ours", "Waits", {"concurrency": 500}),
    "bridgepool, map": ("pools.ours", "Maps", {}),
    "bridgepool, map, uvloop": ("pools.ours", "Maps", {"backend": "uvloop"}),
    "bridgepool, memory": ("pools.ours", "Blobs", {"memory": True}),
    "bridgepool, base64": ("pools.ours", "Blobs", {"memory": False}),
    "bridgepool, stream": ("pools.ours", "Streams", {}),
    "bridgepool, stream, uvloop": ("pools.ours", "Streams", {"backend": "uvloop"}),
    "bridgepool, checkout, spawn": ("pools.ours", "Checkouts", {"start_method": "spawn"}),
    "bridgepool, checkout, 1 spare": ("pools.ours", "Checkouts", {"spares": 1}),
}
_LIMITS: dict[str, _Maker] = {
    "limit: blocking pipe": ("limits.blocking", "Blocking", {"kind": "pipe"}),
    "limit: blocking socketpair": ("limits.blocking", "Blocking", {"kind": "socketpair"}),
    "limit: add_reader, pipe": ("limits.reader", "Readers", {"kind": "pipe"}),
    "limit: add_reader, pipe, uvloop": (
        "limits.reader",
        "Readers",
        {"kind": "pipe", "backend": "uvloop"},
    ),
    "limit: add_reader, socketpair": ("limits.reader", "Readers", {"kind": "socketpair"}),
    "limit: asyncio streams": ("limits.streams", "Streams", {}),
    "limit: asyncio streams, uvloop": ("limits.streams", "Streams", {"backend": "uvloop"}),
    "limit: add_reader, our bridge": ("limits.layers", "OurBridge", {}),
    "limit: our conversation": ("limits.layers", "OurConversation", {}),
    "limit: epoll, pipe": ("limits.epoll", "Epoll", {}),
}
_PEERS: dict[str, _Maker] = {
    "multiprocessing.Pool": ("pools.standard", "pool", {}),
    "multiprocessing.connection": ("pools.standard", "Connections", {}),
    "ProcessPoolExecutor spawn": ("pools.standard", "executor", {"method": "spawn"}),
    "ProcessPoolExecutor forkserver": ("pools.standard", "executor", {"method": "forkserver"}),
    "anyio.to_process": ("pools.installed", "AnyioProcesses", {}),
    "trio-parallel": ("pools.installed", "TrioProcesses", {}),
    "pebble": ("pools.installed", "pebble_pool", {}),
    "mpire": ("pools.installed", "mpire_pool", {}),
    "loky": ("pools.installed", "loky_pool", {}),
    "multiprocessing.Pool, imap": ("pools.maps", "imap", {}),
    "ProcessPoolExecutor, map": ("pools.maps", "executor_map", {}),
    "loky, map": ("pools.maps", "loky_map", {}),
}
_DSPY = "openai/gpt-4o-mini"
_PROGRAMS: dict[str, _Maker] = {
    "DSPy, 1 at a time": ("pools.programs", "Programs", {"model": _DSPY, "concurrency": 1}),
    "DSPy, 64 at a time": ("pools.programs", "Programs", {"model": _DSPY, "concurrency": 64}),
    "DSPy by litellm, 64 at a time": (
        "pools.programs",
        "Programs",
        {"model": "together_ai/gpt-4o-mini", "concurrency": 64},
    ),
}
MAKERS: dict[str, _Maker] = _OURS | _LIMITS | _PEERS | _PROGRAMS

OURS = "bridgepool, checkout"
"""What ratios to us refer to."""

LIMIT = "limit: add_reader, pipe"
"""What ratios to the limit refer to: asyncio, pipes and JSON with no pool around them."""


def make(name: str) -> Contender:
    """Return a contender that is not started yet."""
    module, maker, settings = MAKERS[name]
    contender: Contender = getattr(importlib.import_module(f"benchmarks.{module}"), maker)(
        **settings
    )
    return contender
