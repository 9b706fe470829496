"""A call as data, before it is sent. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Raw, structs

from bridge.frames import LONG, encode, header
from bridge.messages import (
    ANONYMOUS,
    MAX_NAME,
    NULL,
    Request,
    Unsendable,
    to_json,
)
from bridge.messages.memory.large import Large, large_members, without
from bridge.messages.names import names_session
from pool.errors import RequestError
from pool.sessions import NO_NEWS, News
from pool.telemetry.tracing import Traced


class Prepared(msgspec.Struct, frozen=True):
    """A request that is encoded as far as it can be before a worker is known."""

    command: str
    args: bytes
    session: str
    credit: int | None = None
    """Items that a stream may send before it is granted more; None is no limit."""
    size: int | None = None
    """How many calls it is, if it is a batch: `args` is then an array."""
    large: tuple[Large, ...] = ()
    """Arguments that `args` lacks: how they are sent depends on the worker."""
    traced: Traced | None = None
    """The span of the call, if it is traced."""


def prepare(
    command: str,
    args: object,
    session: str | None,
    max_frame_bytes: int,
    traced: Traced | None = None,
) -> Prepared:
    """Encode the arguments; raise `RequestError` if they are not an object or too large.

    `session` becomes the argument `session_id`, and an argument of that name
    is the session; without either it is "anonymous".
    """
    if command not in _names:
        _learn_name(command)
    large = large_members(args)
    encoded = encode_args(command, without(args, large) if large else args)
    if session is None and not names_session(encoded):
        session = ANONYMOUS
    else:
        session, encoded = _in_session(command, encoded, session)
    size = len(encoded)
    if large:
        size = max(size, sum(value.size for value in large))
    if size > max_frame_bytes:
        raise RequestError(
            f"{command}: the arguments take {size} bytes, more than "
            f"max_frame_bytes={max_frame_bytes}; send less, or raise the limit"
        )
    return Prepared(command, encoded, session, None, None, large, traced)


_names: dict[str, bytes] = {}
"""The JSON of commands' names: there are few, and each is called often."""

MAX_NAMES = 1_000
"""Names that are kept."""


def _learn_name(command: str) -> None:
    check_name(command)
    try:
        encoded = to_json(command)
    except ValueError:
        raise RequestError("the name of a command must be Unicode") from None
    if len(_names) >= MAX_NAMES:
        _names.clear()
    _names[command] = encoded


_WHY: dict[type[Exception], str] = {
    UnicodeEncodeError: "a text in them is not Unicode (it has lone surrogates)",
    RecursionError: "they are nested too deeply, or contain themselves",
}


def check_name(command: str) -> None:
    """Raise `RequestError` if a command is not a name."""
    if not isinstance(command, str) or not command:
        raise RequestError("a command is a name: a text that is not empty")


def encode_args(command: str, args: object) -> bytes:
    """The JSON of a call's arguments; raise `RequestError` if they are not an object."""
    if args is None:
        return b"{}"
    try:
        encoded = to_json(args)
    except Unsendable as error:
        raise RequestError(f"{command}: the arguments cannot be encoded: {error}") from None
    except Exception as error:
        # Its text, and what it came from, may quote the arguments.
        why = _WHY.get(type(error), f"{type(error).__name__} was raised")
        raise RequestError(f"{command}: the arguments cannot be encoded: {why}") from None
    if not encoded.startswith(b"{"):
        raise RequestError(f"{command}: args must be a mapping or struct, not {type(args)}")
    return encoded


def _in_session(command: str, encoded: bytes, session: str | None) -> tuple[str, bytes]:
    """The session of a call, and its arguments with it."""
    try:
        named = _decode_session(encoded).session_id
        if session is not None:
            to_json(session)
    except msgspec.ValidationError as error:
        raise RequestError(f"session_id: {error}") from None
    except ValueError:
        raise RequestError("the name of a session must be Unicode") from None
    if len(session or named or "") > MAX_NAME:
        raise RequestError(f"{command}: the session's name is over {MAX_NAME} characters")
    if session is not None and named is not None and named != session:
        raise RequestError(f"{command}: `session` is given, and args has another session_id")
    if session is not None and named is None:
        encoded = _with_session(encoded, session)
    return session or named or ANONYMOUS, encoded


class _SessionArgs(msgspec.Struct):
    session_id: str | None = None


_decode_session = msgspec.json.Decoder(_SessionArgs).decode


def _with_session(encoded: bytes, session: str) -> bytes:
    member = b'{"session_id":' + to_json(session)
    return member + (b"}" if encoded == b"{}" else b"," + encoded[1:])


def request_frame(
    call_id: int, prepared: Prepared, news: News, max_frame_bytes: int, memory: Raw = NULL
) -> tuple[bytes, ...]:
    """The frame of a request in pieces, so that long arguments are not copied.

    Raises `FrameTooLarge`.
    """
    args = prepared.args
    if (
        len(args) <= LONG
        or news is not NO_NEWS
        or prepared.credit is not None
        or prepared.traced is not None
        or memory is not NULL
    ):
        payload = encode_request(call_id, prepared, news, memory)
        return (encode(payload, max_frame_bytes),)
    empty = encode_request(call_id, structs.replace(prepared, args=b""), news)
    length = len(empty) + len(prepared.args)
    return header(length, max_frame_bytes) + empty[:-1], prepared.args, b"}"


def encode_request(call_id: int, prepared: Prepared, news: News, memory: Raw = NULL) -> bytes:
    """The payload of a request frame; `memory` tells where the arguments are that it lacks."""
    has_more = prepared.credit is not None or prepared.traced is not None
    if not has_more and news is NO_NEWS and memory is NULL:
        name = _names.get(prepared.command) or to_json(prepared.command)
        if prepared.size is not None:
            return b'{"id":%d,"command":%b,"batch":%b}' % (call_id, name, prepared.args)
        return b'{"id":%d,"command":%b,"args":%b}' % (call_id, name, prepared.args)
    args = Raw(prepared.args)
    return to_json(
        Request(
            call_id,
            prepared.command,
            args if prepared.size is None else NULL,
            args if prepared.size is not None else NULL,
            forget_sessions=news.forget_sessions,
            forget=news.forget,
            define=news.define,
            credit=prepared.credit,
            memory=memory,
            trace=NULL if prepared.traced is None else prepared.traced.trace,
        )
    )
