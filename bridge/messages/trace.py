"""The trace that a call is part of, as a request carries it: an object of texts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from msgspec import Raw, json

from bridge.messages import NULL, to_json

MAX_TRACE = 16 * 1024
"""Bytes of JSON above which it is not carried, nor read: twice the 8,192 of a baggage that every
platform has to pass on (W3C Baggage, "Limits")."""

_decode = json.Decoder(dict[str, str]).decode


def write_trace(carrier: Mapping[str, str]) -> Raw:
    """What a request carries; `NULL` for nothing, and for what is too long or cannot be said."""
    if not carrier:
        return NULL
    with suppress(TypeError, ValueError):
        encoded = to_json(carrier)
        if len(encoded) <= MAX_TRACE:
            return Raw(encoded)
    return NULL


def read_trace(raw: Raw) -> dict[str, str]:
    """The texts of a trace; empty where there are none, or none that make sense."""
    if raw is NULL or len(memoryview(raw)) > MAX_TRACE:
        return {}
    with suppress(ValueError):
        return _decode(raw)
    return {}
