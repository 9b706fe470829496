"""What travels inside a frame: requests, replies and streamed items.

Payloads (`args`, `result`, `data`, `details`) stay undecoded JSON until
somebody knows their type. Members that a receiver does not know are ignored.
"""

from __future__ import annotations

import time
from typing import Any

from msgspec import Raw, Struct, json

HANDSHAKE_ID = 0
ANONYMOUS = "anonymous"

_EMPTY_OBJECT = Raw(b"{}")
_NULL = Raw(b"null")


class Definition(Struct):
    """Something made on one worker that the others must be able to rebuild."""

    key: str
    version: str
    definition: Raw


class Request(Struct, omit_defaults=True):
    """Pool to bridge.

    What other workers have forgotten (whole sessions; keys of this call's
    session) and defined since is caught up with, in this order, before the
    command runs.
    """

    id: int
    command: str
    args: Raw = _NULL
    forget_sessions: list[str] = []
    forget: list[str] = []
    define: list[Definition] = []


class Success(Struct, omit_defaults=True):
    """Bridge to pool: the command returned."""

    id: int | None
    success: bool
    result: Raw
    timestamp: float
    wrapped: bool = False
    define: Definition | None = None
    forget: list[str] = []
    forget_all: bool = False


class Failure(Struct, omit_defaults=True):
    """Bridge to pool: the command was not run, or raised."""

    id: int | None
    success: bool
    error: str
    timestamp: float
    error_type: str | None = None
    traceback: str | None = None
    details: Any = None


class Item(Struct):
    """Bridge to pool: one item of a streamed result."""

    id: int
    event: str
    data: Raw


class Reply(Struct):
    """Any of the three above as the pool reads it.

    All but the id is optional, and of any type where a foreign bridge may
    mean something else by it.
    """

    id: int | None
    success: bool | None = None
    result: Raw = _NULL
    wrapped: Any = False
    error: Any = None
    error_type: Any = None
    traceback: Any = None
    details: Raw = _NULL
    event: Any = None
    data: Raw = _NULL
    define: Raw = _NULL
    forget: Raw = _NULL
    forget_all: Any = False


class Changes(Struct):
    """What a reply defines and forgets, read once the bridge is known to mean it."""

    define: Definition | None = None
    forget: list[str] = []
    forget_all: bool = False


def changes_in(reply: Reply) -> Changes | None:
    """Return what the reply changes, if anything; raise `ValueError` if it makes no sense."""
    if reply.define == _NULL and reply.forget == _NULL and not reply.forget_all:
        return None
    define = json.decode(reply.define, type=Definition | None)
    forget = json.decode(reply.forget, type=list[str] | None)
    return Changes(define, forget or [], bool(reply.forget_all))


def to_builtin(value: object) -> object:
    """Turn what msgspec cannot encode into something it can.

    Knows pydantic models (`model_dump`) and numpy arrays and scalars
    (`tolist`) by their methods, so that neither need be imported here.
    """
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        return to_list()
    raise TypeError(f"a value of type {type(value).__qualname__} cannot be sent as JSON")


_encoder = json.Encoder(enc_hook=to_builtin)


def to_json(value: object) -> bytes:
    """Encode as JSON; NaN and infinities become null.

    Raises `TypeError`, `ValueError`, `OverflowError` or `RecursionError` for
    what JSON cannot say.
    """
    return _encoder.encode(value)


def success(call_id: int | None, value: object, **members: Any) -> Success:
    """A success reply; `value` is wrapped where its JSON is not an object."""
    encoded = to_json(value)
    wrapped = not encoded.startswith(b"{")
    if wrapped:
        encoded = b'{"value":' + encoded + b"}"
    return Success(call_id, True, Raw(encoded), time.time(), wrapped, **members)


def failure(
    call_id: int | None,
    error: str,
    error_type: str | None = None,
    traceback: str | None = None,
    details: Any = None,
) -> Failure:
    """A failure reply, stamped with the time."""
    return Failure(call_id, False, error, time.time(), error_type, traceback, details)


def is_object(raw: bytes | Raw) -> bool:
    """Whether encoded JSON is an object."""
    return bytes(memoryview(raw)[:1]) == b"{"


def args_object(raw: Raw) -> bytes:
    """The bytes of `args`, which may be absent or null for none.

    Raises `ValueError` if they are anything but an object.
    """
    data = bytes(memoryview(raw))
    if data == b"null":
        return bytes(memoryview(_EMPTY_OBJECT))
    if not data.startswith(b"{"):
        raise ValueError("args must be an object or null")
    return data
