"""What travels inside a frame: requests, replies and streamed items.

Payloads (`args`, `result`, `data`, `details`) stay undecoded JSON until
somebody knows their type. Members that a receiver does not know are ignored.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

from msgspec import Meta, Raw, Struct, field, json

HANDSHAKE_ID = 0
ANONYMOUS = "anonymous"

MAX_ERROR_TEXT = 32 * 1024
"""Characters of an error's message, and of its traceback, that a failure reply should carry."""

MAX_ERROR_DETAILS = 256 * 1024
"""Bytes of JSON above which the details of an error are left out."""

_MAX_DECODED = 1024 * 1024
_EMPTY_OBJECT = Raw(b"{}")
NULL = Raw(b"null")
"""What stands where a member is absent: it is compared by identity first."""
_TRUE = Raw(b"true")


MAX_NAME = 1024
"""Characters of a definition's key and of its version."""

MAX_FORGET = 10_000
"""Keys that one reply may forget."""

MAX_FORGET_BYTES = 4 * 1024 * 1024
"""Bytes of JSON that they may take."""

_Name = Annotated[str, Meta(max_length=MAX_NAME)]
_Forget = Annotated[list[_Name], Meta(max_length=MAX_FORGET)]


class Definition(Struct):
    """Something made on one worker that the others must be able to rebuild."""

    key: _Name
    version: _Name
    definition: Raw


class Request(Struct, omit_defaults=True):
    """Pool to bridge.

    What other workers have forgotten (whole sessions; keys of this call's
    session) and defined since is caught up with, in this order, before the
    command runs.
    """

    id: int
    command: str
    args: Raw = NULL
    batch: Raw = NULL
    forget_sessions: list[str] = []
    forget: list[str] = []
    define: list[Definition] = []
    credit: int | None = None
    memory: Raw = NULL
    trace: Raw = NULL


class Success(Struct, omit_defaults=True):
    """Bridge to pool: the command returned.

    `compute` is how many seconds it ran, `phases` how many of them in each of its own
    phases.
    """

    id: int | None
    success: bool
    result: Raw
    timestamp: float
    wrapped: bool = False
    define: Definition | None = None
    forget: list[str] = []
    forget_all: bool = False
    memory: Raw = NULL
    compute: float | None = None
    phases: dict[str, float] | None = None


class Failure(Struct, omit_defaults=True):
    """Bridge to pool: the command was not run, or raised."""

    id: int | None
    success: bool
    error: str
    timestamp: float
    error_type: str | None = None
    traceback: str | None = None
    details: Any = None
    compute: float | None = None
    phases: dict[str, float] | None = None


class Item(Struct):
    """Bridge to pool: one item of a streamed result."""

    id: int
    event: str
    data: Raw


class Reply(Struct):
    """Any of the three above as the pool reads it.

    All but the id is optional, and what is no more than said stays undecoded
    until somebody asks: it may be of any size, and of any type where a foreign
    bridge means something else by it.
    """

    id: int | None
    success: bool | None = None
    result: Raw = NULL
    raw_wrapped: Raw = field(default=NULL, name="wrapped")
    raw_error: Raw = field(default=NULL, name="error")
    raw_error_type: Raw = field(default=NULL, name="error_type")
    raw_traceback: Raw = field(default=NULL, name="traceback")
    details: Raw = NULL
    raw_event: Raw = field(default=NULL, name="event")
    data: Raw = NULL
    results: Raw = NULL
    failures: Raw = NULL
    define: Raw = NULL
    forget: Raw = NULL
    raw_forget_all: Raw = field(default=NULL, name="forget_all")
    memory: Raw = NULL
    raw_compute: Raw = field(default=NULL, name="compute")
    phases: Raw = NULL

    def __repr__(self) -> str:
        """Without what it says: logs show it where asyncio shows a future."""
        return f"<Reply {self.id} success={self.success}>"

    @property
    def wrapped(self) -> bool:
        """Whether the result is the member `value` of what is in its place."""
        return self.raw_wrapped == _TRUE

    @property
    def error(self) -> str | None:
        return _said(self.raw_error)

    @property
    def error_type(self) -> str | None:
        return _said(self.raw_error_type)

    @property
    def traceback(self) -> str | None:
        return _said(self.raw_traceback)

    @property
    def event(self) -> str | None:
        return _said(self.raw_event)

    @property
    def forget_all(self) -> bool:
        return self.raw_forget_all == _TRUE


def _said(raw: Raw) -> str | None:
    """The text; the beginning of the JSON where that is no text, or an enormous one."""
    if raw is NULL or raw == NULL:
        return None
    data = memoryview(raw)
    if len(data) <= _MAX_DECODED:
        with suppress(ValueError):
            return json.decode(raw, type=str)
    return bytes(data[:MAX_ERROR_TEXT]).decode("utf-8", "replace")


class Changes(Struct):
    """What a reply defines and forgets, read once the bridge is known to mean it."""

    define: Definition | None = None
    forget: list[str] = []
    forget_all: bool = False


def changes_in(reply: Reply) -> Changes | None:
    """Return what the reply changes, if anything; raise `ValueError` if it makes no sense."""
    if reply.define is reply.forget is reply.raw_forget_all is NULL:
        return None  # as nearly always: none of the members is there
    if reply.define == NULL and reply.forget == NULL and not reply.forget_all:
        return None
    if len(memoryview(reply.forget)) > MAX_FORGET_BYTES:
        raise ValueError(f"`forget` is longer than {MAX_FORGET_BYTES} bytes")
    try:
        define = json.decode(reply.define, type=Definition | None)
        forget = json.decode(reply.forget, type=_Forget | None)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if define is not None:
        # Or it would keep the whole frame in memory for as long as it is kept.
        define.definition = define.definition.copy()
    return Changes(define, forget or [], reply.forget_all)


class Unsendable(TypeError):
    """JSON cannot say a value; the text names its type only."""


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
    raise Unsendable(f"a value of type {type(value).__qualname__} cannot be sent as JSON")


to_json: Callable[[object], bytes] = json.Encoder(enc_hook=to_builtin).encode
"""Encodes as JSON; NaN and infinities become null.

Raises `TypeError`, `ValueError`, `OverflowError` or `RecursionError` for what
JSON cannot say.
"""


def success(call_id: int | None, value: object, **members: Any) -> Success:
    """A success reply; `value` is wrapped where its JSON is not an object."""
    encoded = to_json(value)
    wrapped = not encoded.startswith(b"{")
    if wrapped:
        encoded = b'{"value":' + encoded + b"}"
    return Success(call_id, True, Raw(encoded), time.time(), wrapped, **members)


def success_parts(call_id: int, value: object, compute: float) -> tuple[bytes, bytes, bytes]:
    """The payload of a success reply that tells of nothing else, in pieces: the second is long.

    `compute` is how many seconds the command ran.
    """
    encoded = to_json(value)
    if encoded.startswith(b"{"):
        head, tail = b'{"id":%d,"success":true,"result":', b',"timestamp":%f,"compute":%f}'
    else:
        head = b'{"id":%d,"success":true,"result":{"value":'
        tail = b'},"timestamp":%f,"wrapped":true,"compute":%f}'
    return head % call_id, encoded, tail % (time.time(), compute)


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
    data = bytes(raw)
    if data == b"null":
        return bytes(memoryview(_EMPTY_OBJECT))
    if not data.startswith(b"{"):
        raise ValueError("args must be an object or null")
    return data
