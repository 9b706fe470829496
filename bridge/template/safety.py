"""Why this process must not be forked."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping

from bridge.template.imports import thread_count, thread_names

_STATELESS = frozenset({"/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"})
"""Devices that keep nothing for whoever has them open; a copy does no harm."""

MAX_HAZARDS = 20
"""Phrases that are told."""

_ADVICE = {
    "numpy": "set cpu_threads=1 if it is a thread of OpenBLAS",
    "litellm": "set env={'LITELLM_LOCAL_MODEL_COST_MAP': 'True'}",
}


def hazards(own: Collection[int], appeared: Mapping[str, str]) -> list[str]:
    """Return why a fork would not be safe, a phrase each.

    `own` are the descriptors that are known to be handled; `appeared` tells
    where threads, by name, came up. A forked child has only the thread that
    forked, with the locks as the others held them; CUDA does not survive a fork
    at all; a shared descriptor is one file position, one connection, one lock.
    """
    found = [*_threads(appeared), *_cuda(), *_descriptors(own)]
    more = len(found) - MAX_HAZARDS
    return found if more <= 0 else [*found[:MAX_HAZARDS], f"{more} more of the kind"]


def _threads(appeared: Mapping[str, str]) -> list[str]:
    if thread_count() == 1:
        return []
    phrases = []
    for name in thread_names():
        where = appeared.get(name)
        phrase = f"a thread runs ({name}"
        phrase += f", since {where}" if where else ""
        advice = [text for module, text in _ADVICE.items() if where and f" {module}" in where]
        phrases.append("; ".join([phrase + ")", *advice]))
    return phrases


def _cuda() -> list[str]:
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is not None and cuda.is_initialized():
        return ["a CUDA context is initialised (load models in on_start, not in preload)"]
    return []


def _descriptors(own: Collection[int]) -> list[str]:
    return [
        f"a descriptor was left open ({fd}, {name})"
        for fd, name in open_descriptors().items()
        if fd not in own and name not in _STATELESS
    ]


def open_descriptors() -> dict[int, str]:
    """The descriptors of this process and what they are open on."""
    found = {}
    for fd in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115
        except OSError:  # the one that listed them
            continue
    return found
