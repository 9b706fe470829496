"""A call as data: the request before it is sent, the reply turned into a result. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from bridge.messages import (
    ANONYMOUS,
    MAX_ERROR_DETAILS,
    MAX_ERROR_TEXT,
    MAX_NAME,
    NULL,
    Reply,
    Request,
    Unsendable,
    to_json,
)
from bridge.messages.secrets import Secrets
from pool.errors import RemoteError, RequestError, ResultTypeError
from pool.quotes import excerpt
from pool.sessions import NO_NEWS, News

MAX_ERROR_TYPE = 200
"""Characters of the name of an error."""


class Prepared(msgspec.Struct, frozen=True):
    """A request that is encoded as far as it can be before a worker is known."""

    command: str
    args: bytes
    session: str
    credit: int | None = None
    """Items that a stream may send before it is granted more; None is no limit."""


def prepare(command: str, args: object, session: str | None, max_frame_bytes: int) -> Prepared:
    """Encode the arguments; raise `RequestError` if they are not an object or too large.

    `session` becomes the argument `session_id`, and an argument of that name
    is the session; without either it is "anonymous".
    """
    if command not in _names:
        _learn_name(command)
    encoded = b"{}" if args is None else _encode(command, args)
    if session is None and b'"session_id"' not in encoded:
        session = ANONYMOUS
    else:
        session, encoded = _in_session(command, encoded, session)
    if len(encoded) > max_frame_bytes:
        raise RequestError(
            f"{command}: the arguments take {len(encoded)} bytes, more than "
            f"max_frame_bytes={max_frame_bytes}; send less, or raise the limit"
        )
    return Prepared(command, encoded, session)


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


def _encode(command: str, args: object) -> bytes:
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


def encode_request(call_id: int, prepared: Prepared, news: News) -> bytes:
    """The payload of a request frame."""
    if news is NO_NEWS and prepared.credit is None:
        name = _names.get(prepared.command) or to_json(prepared.command)
        return b'{"id":%d,"command":%b,"args":%b}' % (call_id, name, prepared.args)
    return to_json(
        Request(
            call_id,
            prepared.command,
            Raw(prepared.args),
            forget_sessions=news.forget_sessions,
            forget=news.forget,
            define=news.define,
            credit=prepared.credit,
        )
    )


_decode_reply = msgspec.json.Decoder(Reply).decode


def decode_reply(payload: bytes) -> Reply:
    """Read a frame of the child's; raise `ValueError` if it is not a reply."""
    try:
        reply = _decode_reply(payload)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if reply.success is None and reply.event is None:
        raise ValueError("it has neither `success` nor `event`")
    return reply


_decode_any = msgspec.json.Decoder().decode


@lru_cache(maxsize=256)
def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


def _decode_as(raw: Raw, type_: Any) -> Any:
    try:
        decoder = _decoder(type_)
    except TypeError:  # a type that cannot be hashed
        decoder = msgspec.json.Decoder(type_)
    return decoder.decode(raw)


def result_of(reply: Reply, command: str, result_type: Any, secrets: Secrets) -> Any:
    """The result as `result_type`, untouched.

    Raises `RemoteError` for a failure reply and `ResultTypeError` for a
    result of another type; their texts are without secrets.
    """
    if not reply.success:
        raise _remote_error(reply, secrets)
    raw = reply.result
    try:
        if reply.raw_wrapped is not NULL and reply.wrapped:
            raw = _decode_as(raw, dict[str, Raw]).get("value", Raw(b"null"))
        return _decode_any(raw) if result_type is Any else _decode_as(raw, result_type)
    except (ValueError, RecursionError) as error:
        why = excerpt(secrets, str(error))  # which may quote a value
        text = f"the result of {command} is not a {result_type}: {why}"
        raise ResultTypeError(text, _plain(raw)) from None


def item_of(data: Raw, command: str, result_type: Any, secrets: Secrets) -> Any:
    """An item of a stream as `result_type`; raises `ResultTypeError` for one of another type."""
    try:
        return _decode_any(data) if result_type is Any else _decode_as(data, result_type)
    except (ValueError, RecursionError) as error:
        why = excerpt(secrets, str(error))
        text = f"an item of {command} is not a {result_type}: {why}"
        raise ResultTypeError(text, _plain(data)) from None


def _plain(raw: Raw) -> Any:
    """Plain JSON values, or the bytes of what cannot be one."""
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return bytes(raw)


def _remote_error(reply: Reply, secrets: Secrets) -> RemoteError:
    def shown(text: str | None, length: int = MAX_ERROR_TEXT) -> str | None:
        return text and excerpt(secrets, text, length)

    return RemoteError(
        shown(reply.error) or "the bridge reported a failure without saying which",
        error_type=shown(reply.error_type, MAX_ERROR_TYPE),
        traceback=shown(reply.traceback),
        details=_details(reply.details, secrets),
    )


def _details(raw: Raw, secrets: Secrets) -> Any:
    if len(memoryview(raw)) > MAX_ERROR_DETAILS:
        return None
    try:
        return secrets.hide_in(msgspec.json.decode(raw))
    except (ValueError, RecursionError):
        return None
