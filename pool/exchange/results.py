"""Replies as data: read from a frame, turned into a result or a named error. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from bridge.messages import MAX_ERROR_DETAILS, MAX_ERROR_TEXT, NULL, Reply
from bridge.messages.memory.arrays import hook
from bridge.messages.secrets import Secrets
from pool.errors import RemoteError, ResultTypeError
from pool.exchange.filled import Filled, decode_filled, plain_filled
from pool.quotes import excerpt

MAX_ERROR_TYPE = 200
"""Characters of the name of an error."""


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
    return msgspec.json.Decoder(type_, dec_hook=hook)


def _decode_as(raw: Raw, type_: Any) -> Any:
    try:
        decoder = _decoder(type_)
    except TypeError:  # a type that cannot be hashed
        decoder = msgspec.json.Decoder(type_, dec_hook=hook)
    return decoder.decode(raw)


def result_of(reply: Reply, command: str, result_type: Any, secrets: Secrets) -> Any:
    """The result as `result_type`, untouched.

    Raises `RemoteError` for a failure reply and `ResultTypeError` for a
    result of another type; their texts are without secrets.
    """
    if not reply.success:
        said = (reply.error, reply.error_type, reply.traceback, reply.details)
        raise remote_error(*said, secrets)
    raw = reply.result
    try:
        if type(reply) is Filled:
            return decode_filled(reply, result_type, _decode_as)
        if reply.raw_wrapped is not NULL and reply.wrapped:
            raw = _decode_as(raw, dict[str, Raw]).get("value", Raw(b"null"))
        return _decode_any(raw) if result_type is Any else _decode_as(raw, result_type)
    except (ValueError, RecursionError) as error:
        why = excerpt(secrets, str(error))  # which may quote a value
        text = f"the result of {command} is not a {result_type}: {why}"
        plain = plain_filled(reply) if type(reply) is Filled else _plain(raw)
        raise ResultTypeError(text, plain) from None


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


def remote_error(
    error: str | None,
    error_type: str | None,
    traceback: str | None,
    details: Raw,
    secrets: Secrets,
) -> RemoteError:
    """What a command raised, as its bridge told it, cut to size and without secrets."""

    def shown(text: str | None, length: int = MAX_ERROR_TEXT) -> str | None:
        return text and excerpt(secrets, text, length)

    return RemoteError(
        shown(error) or "the bridge reported a failure without saying which",
        error_type=shown(error_type, MAX_ERROR_TYPE),
        traceback=shown(traceback),
        details=_details(details, secrets),
    )


def _details(raw: Raw, secrets: Secrets) -> Any:
    if len(memoryview(raw)) > MAX_ERROR_DETAILS:
        return None
    try:
        return secrets.hide_in(msgspec.json.decode(raw))
    except (ValueError, RecursionError):
        return None
