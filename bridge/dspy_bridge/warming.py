"""What workers can share of an LM: all that its first request would load, and none of its state."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import dspy
from dspy.clients import get_litellm, model_metadata
from dspy.clients.backend_selection import select_backend
from msgspec import structs

from bridge.dspy_bridge.lm import LMConfig, make_lm

_LOCAL_PRICES = "LITELLM_LOCAL_MODEL_COST_MAP"
"""dspy and litellm would else fetch their price lists, in each worker, at its first request."""

_CLOUDS = frozenset({"bedrock", "sagemaker", "sagemaker_chat", "vertex_ai", "vertex_ai_beta"})
"""Providers whose clients look for credentials on the network before they send anything."""


def warm_up(config: LMConfig, run: Callable[[dspy.LM], object]) -> None:
    """Load what requests of this LM need. `run` makes one with the LM that it is given.

    There is no thread, no descriptor and no access to the network: the request
    fails when it has come as far as opening a connection.
    """
    os.environ.setdefault(_LOCAL_PRICES, "True")
    make_lm(config)  # one that cannot be made is an error here as it is in a worker
    lm = make_lm(structs.replace(config, num_retries=0, cache=False))
    if not isinstance(lm.engine, str):
        return
    if os.environ[_LOCAL_PRICES].lower() == "true":
        model_metadata.source_info()
    if not select_backend(lm).native:
        get_litellm(feature=config.full_model)
    if config.full_model.partition("/")[0] not in _CLOUDS:
        with _no_network(), suppress(Exception):
            run(lm)


@contextmanager
def _no_network() -> Iterator[None]:
    """Have every connection refused that Python code opens. Nothing else runs meanwhile."""
    patched: list[tuple[Any, str]] = [
        (socket.socket, "connect"),
        (socket.socket, "connect_ex"),
        (socket, "getaddrinfo"),
    ]
    originals = [(place, name, getattr(place, name)) for place, name in patched]
    for place, name in patched:
        setattr(place, name, _refuse)
    try:
        yield
    finally:
        for place, name, original in originals:
            setattr(place, name, original)


def _refuse(*_: object, **__: object) -> NoReturn:
    raise ConnectionRefusedError("a preload does not use the network")
