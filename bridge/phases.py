"""A command's own phases: how long its parts took, told with its reply."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from functools import lru_cache
from time import monotonic

from bridge.context import CallContext, find_call

MAX_PHASES = 50
"""Names that one call tells of; further ones are left out."""

MAX_PHASE_NAME = 100
"""Characters that are told of a name."""

_adding = threading.Lock()
"""For all calls: a phase may end on a thread that its command has started."""


def phase(name: str) -> AbstractContextManager[None]:
    """Measure a part of the command in progress, the block of a `with`.

    ::

        with bridge.phase("retrieve"):
            passages = index.search(question)

    The seconds that its blocks take are summed by name, in a batch for all its calls,
    and the pool gets them with the reply. Blocks of tasks and threads of the command
    (those that have its context, as with `asyncio.to_thread`) count too, and in full
    where they overlap; a `yield` inside lasts until the next item is asked for. Outside
    a command it does nothing. Each `with` needs one of its own.
    """
    return _Phase(name)


class _Phase:
    __slots__ = ("_began", "_call", "_name")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._call = find_call()
        self._began = monotonic()

    def __exit__(self, *_: object) -> None:
        if self._call is not None:
            _add(self._call, _told(self._name), monotonic() - self._began)


def _add(call: CallContext, name: str, seconds: float) -> None:
    with _adding:
        phases = call.phases
        if phases is None:
            phases = call.phases = {}
        if name in phases or len(phases) < MAX_PHASES:
            phases[name] = phases.get(name, 0.0) + seconds


@lru_cache(maxsize=1_000)
def _told(name: str) -> str:
    """A name that JSON can say, cut to size."""
    return name[:MAX_PHASE_NAME].encode("utf-8", "backslashreplace").decode()[:MAX_PHASE_NAME]


def phases_of(call: CallContext) -> dict[str, float] | None:
    """What is told of a call's phases, to the microsecond; None if it has had none."""
    if call.phases is None:
        return None
    with _adding:
        return {name: round(seconds, 6) for name, seconds in call.phases.items()}
