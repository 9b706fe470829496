"""A stream of bytes as lines without secrets. Pure."""

from __future__ import annotations

from bridge.messages.secrets import Secrets

MAX_LINE = 8 * 1024
"""Characters above which a line is passed on in pieces."""


class Lines:
    """Cuts a stream, however it was chunked, into lines.

    Of a line that is passed on in pieces as much is looked at on either side
    of a cut as a secret may be long: one that the cut goes through is hidden
    in both pieces.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._rest = b""
        self._shown = 0

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that have ended, and the piece of a long one."""
        ended, newline, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        lines = self._take(ended).split("\n") if newline else []
        return lines + self._piece()

    def end(self) -> list[str]:
        """Return the last line, which need not have ended."""
        rest, self._rest = self._rest, b""
        return [self._take(rest)] if rest else []

    def _take(self, data: bytes) -> str:
        shown, self._shown = self._shown, 0
        return _clean(self._secrets.hide(_text(data), shown))

    def _piece(self) -> list[str]:
        text, longest = _text(self._rest), self._secrets.longest
        end = len(text) - longest
        if end - self._shown <= MAX_LINE:
            return []
        piece = self._secrets.hide(text, self._shown, end)
        seen = max(0, end - longest)
        self._rest, self._shown = _bytes(text[seen:]), end - seen
        return [_clean(piece)]


def _text(data: bytes) -> str:
    """Without loss: a cut may go through a character."""
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _clean(text: str) -> str:
    return _bytes(text).decode("utf-8", "replace")
