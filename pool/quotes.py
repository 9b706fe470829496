"""What others have said, as it may be shown: without secrets, not too long, and plain. Pure."""

from __future__ import annotations

from bridge.messages.secrets import Secrets

QUOTED_BYTES = 200
"""Bytes of senseless data that are quoted."""

QUOTED_TEXT = 2_000
"""Characters of somebody's text that are quoted within a sentence."""


def plain(text: str) -> str:
    """No character that moves a terminal's cursor, breaks a line, hides or turns others."""
    return "".join(char if char.isprintable() else "?" for char in text)


def quote(secrets: Secrets, data: bytes) -> str:
    """The beginning of bytes that make no sense."""
    seen = data[: QUOTED_BYTES + 4 * secrets.longest]  # a character takes four bytes at most
    end = len(_text(seen[:QUOTED_BYTES]))
    return repr(secrets.hide(_text(seen), 0, end).encode("utf-8", "surrogateescape"))


def excerpt(secrets: Secrets, text: str, length: int = QUOTED_TEXT) -> str:
    """A text of at most about `length` characters: of a longer one its beginning and its end."""
    if len(text) <= length:
        return secrets.hide(text)
    begins = secrets.hide(text, 0, length // 2)
    ends = secrets.hide(text, len(text) - length // 2)
    left_out = len(text) - length // 2 * 2
    return f"{begins}\n[{left_out} characters are left out]\n{ends}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
