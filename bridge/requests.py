"""What the pool says, as the bridge reads it. Pure."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from bridge.messages import ANONYMOUS, NULL, Definition, Failure, args_object, failure
from bridge.messages.memory import RELEASE, TRIM
from bridge.messages.names import names_session

_NONE = Raw(b"")
_NULL = Raw(b"null")

_Count = Annotated[int, Meta(ge=0)]


class Frame(Struct):
    """A request as it is on the wire; see `bridge.messages.Request`."""

    id: int
    command: str
    args: Raw = _NULL
    batch: list[Raw] | None = None
    credit: _Count | None = None
    forget_sessions: list[str] = []
    forget: list[str] = []
    define: list[Definition] = []
    memory: Raw = NULL
    trace: Raw = NULL


class Request(Struct, eq=False):
    """A request that can be read; `args` is a JSON object.

    Until it becomes a call it may be cancelled, and given more credit.
    """

    id: int
    command: str
    args: bytes
    session: str
    frame: Frame
    credit: int | None = None
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True

    def grant(self, items: int) -> None:
        if self.credit is not None:
            self.credit += items


class Cancel(Struct):
    """The call of that id is to end."""

    id: int


class Credit(Struct):
    """The stream of that id may send so many items more."""

    id: int
    items: _Count


class Release(Struct):
    """The values in memory of the reply to that call have been read."""

    id: int


class Trim(Struct):
    """No large value has come for a while: what is kept for the next can be given back."""


class Ignored(Struct):
    """A request without a reply that cannot be obeyed, and why."""

    why: str


Control = Cancel | Credit | Release | Trim | Ignored


class _Unnumbered(Struct):
    command: str
    args: Raw = _NULL
    id: Raw = _NONE


class _SessionArgs(Struct):
    session_id: str | None = None


_decode_frame = msgspec.json.Decoder(Frame).decode
_decode_unnumbered = msgspec.json.Decoder(_Unnumbered).decode
_decode_session = msgspec.json.Decoder(_SessionArgs).decode
_decode_control: dict[str, msgspec.json.Decoder[Any]] = {
    "$cancel": msgspec.json.Decoder(Cancel),
    "$credit": msgspec.json.Decoder(Credit),
    RELEASE: msgspec.json.Decoder(Release),
    TRIM: msgspec.json.Decoder(Trim),
}


def read(payload: bytes) -> Request | Control | Failure:
    """Read the payload of a frame; a failure is the reply to one that makes no sense."""
    try:
        frame = _decode_frame(payload)
        args = bytes(frame.args)
        if not args.startswith(b"{"):
            args = args_object(frame.args)
        session = ANONYMOUS
        if frame.batch is not None:
            session = _session_of_batch(frame.batch)
        elif names_session(args):
            session = session_of(args)
        return Request(frame.id, frame.command, args, session, frame, frame.credit)
    except (ValueError, RecursionError) as error:
        return _read_control(payload) or _unreadable(payload, error)


def session_of(args: bytes) -> str:
    """The session that a call's arguments name; raise `ValueError` if that is no text."""
    if not names_session(args):
        return ANONYMOUS
    return _decode_session(args).session_id or ANONYMOUS


def _session_of_batch(batch: list[Raw]) -> str:
    """A batch is of the session that its first call names."""
    with suppress(ValueError):  # that call fails, and no other
        return session_of(bytes(batch[0])) if batch else ANONYMOUS
    return ANONYMOUS


def _read_control(payload: bytes) -> Control | None:
    """Read a request that has no id, if that is what it is."""
    try:
        said = _decode_unnumbered(payload)
    except (ValueError, RecursionError):
        return None
    if not said.command.startswith("$") or said.id != _NONE:
        return None
    name = said.command[:100]
    decoder = _decode_control.get(name)
    if decoder is None:
        return Ignored(f"{name!r} is not known here")
    try:
        control: Control = decoder.decode(said.args)
        return control
    except (ValueError, RecursionError) as error:
        return Ignored(f"{name}: {error}")


def _unreadable(payload: bytes, error: Exception) -> Failure:
    """The reply to a frame that is no request, with its id where one can be read."""
    try:
        members = msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        members = None
    call_id = members.get("id") if isinstance(members, dict) else None
    if not isinstance(call_id, int) or isinstance(call_id, bool):
        call_id = None
    text = f"the frame is not a request {{id, command, args}}: {error}"
    return failure(call_id, text, "BadRequest")
