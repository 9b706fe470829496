"""An exception of user code as a failure reply that can always be sent."""

from __future__ import annotations

import asyncio
import traceback
from types import TracebackType
from typing import Any

from msgspec import Raw, json

from bridge.arguments import ArgumentError
from bridge.messages import MAX_ERROR_DETAILS, MAX_ERROR_TEXT, Failure, failure, to_json
from bridge.secrets import known_secrets

_DEEPEST = 100
"""Links of a chain of exceptions that are looked at; `raise error from error` has no end."""

_OUR_FILES = {
    __file__.replace("report.py", name)
    for name in ("batch.py", "perform.py", "replies.py", "serve.py", "streams.py")
}
"""Those that stand between the interpreter's start and a command."""


def report(call_id: int | None, error: BaseException) -> Failure:
    """The reply for a command that raised: message, type, the user's part of the traceback.

    Of a text that is too long the end is kept, where the cause stands.
    An exception may carry `details`, which are sent along where JSON can say them.
    """
    _free_memory(error)
    message = _sendable(_words_of(error))
    if isinstance(error, ArgumentError):
        return failure(call_id, message, "ArgumentError", None, _details(error.problems))
    if isinstance(error, asyncio.CancelledError):
        return failure(call_id, _sendable(str(error)) or "the call was cancelled", "Cancelled")
    text = "".join(traceback.format_exception(type(error), error, _users_part(error.__traceback__)))
    details = _details_of(error)
    name = _sendable(type(error).__name__)
    return failure(call_id, message, name, _sendable(text), details)


def _free_memory(error: BaseException) -> None:
    """Let go of what the command held, if there was no more memory: a report takes some too.

    Makes no object itself, for which there may be no room.
    """
    link: BaseException | None = error
    depth = 0
    while link is not None and depth < _DEEPEST:
        if isinstance(link, MemoryError):
            traceback.clear_frames(link.__traceback__)
            traceback.clear_frames(error.__traceback__)
        link = link.__cause__ or link.__context__
        depth += 1


def _words_of(error: BaseException) -> str:
    try:
        return str(error) or repr(error)
    except Exception as another:
        return f"it cannot be put into words: {type(another).__name__}"


def _users_part(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename in _OUR_FILES:
        frames = frames.tb_next
    return frames


def _sendable(text: str) -> str:
    shown = known_secrets().hide(text, max(0, len(text) - MAX_ERROR_TEXT))
    return shown.encode("utf-8", "backslashreplace").decode()


def _details_of(error: BaseException) -> Raw | None:
    try:
        details = getattr(error, "details", None)
        return None if details is None else _details(details)
    except Exception:
        # Details are an extra: one that cannot be said must not hide the error.
        return None


def _details(details: Any) -> Raw | None:
    encoded = to_json(details)
    if len(encoded) > MAX_ERROR_DETAILS:
        return None
    return Raw(to_json(known_secrets().hide_in(json.decode(encoded))))
