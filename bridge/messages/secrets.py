"""What must not be seen: values learned by their names, hidden wherever they turn up. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from bridge.messages.names import LARGE, may_name

HIDDEN = "[hidden]"

SHORTEST = 8
"""Characters below which a value is taken for a word, unless it was given to `keep`."""

LONGEST = 128 * 1024
"""Characters of a value that are looked at: what one environment variable can hold (execve(2))."""

PIECE = 4096
"""Characters that are looked for at once; of a longer value each piece is hidden."""

MOST = 1_000
"""Values remembered of what was kept and of what calls carried, each; the oldest go first."""

_API_KEY = (b'api_key"', b'apiKey"', b'API_KEY"')
_SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|credential")
_API_KEY_MEMBER = re.compile(
    rb'"[\w.-]{0,64}(?:api_key|apiKey|API_KEY)"\s*:\s*("[^"\\]*(?:\\.[^"\\]*)*")'
)


def looks_secret(name: str) -> bool:
    """Whether a variable or member of that name holds a secret."""
    return _SECRET_NAME.search(name) is not None


class Secrets:
    """Values that are not to be shown, and texts without them.

    A value is found as it is, line by line, and as JSON or Python's `repr`
    would write it. Other encodings of it are not recognised.
    """

    def __init__(self) -> None:
        self._kept: dict[str, frozenset[str]] = {}
        self._carried: dict[str, frozenset[str]] = {}
        self._forms: frozenset[str] | None = frozenset()
        self._longest = 0

    # Learning

    def keep(self, value: str) -> None:
        """Hide `value` from now on, however short it is."""
        if value.strip():
            self._remember(self._kept, value.strip())

    def learn_environment(self, variables: Mapping[str, str]) -> None:
        """Keep the values of variables whose names look secret."""
        for name, value in variables.items():
            if looks_secret(name):
                self._learn(self._kept, value)

    def learn_members(self, value: object) -> None:
        """Keep the texts in a JSON value that stand under a member whose name looks secret."""
        for text in _secret_texts(value):
            self._learn(self._kept, text)

    def learn_arguments(self, encoded: bytes) -> None:
        """Remember the texts of a call, given as JSON, under names such as `openai_api_key`.

        Those that end in `api_key`, `apiKey` or `API_KEY`. Next to free without one.
        """
        if len(encoded) < LARGE:
            # Each call comes through here, twice: three searches cost less than a generator.
            found = b'api_key"' in encoded or b'apiKey"' in encoded or b'API_KEY"' in encoded
        else:
            found = may_name(encoded, _API_KEY)
        if found:
            for text in _API_KEY_MEMBER.findall(encoded):
                self._learn(self._carried, _decoded(text))

    def _learn(self, values: dict[str, frozenset[str]], value: str) -> None:
        value = value.strip()
        if len(value) >= SHORTEST:
            self._remember(values, value)

    def _remember(self, values: dict[str, frozenset[str]], value: str) -> None:
        forms = values.pop(value, None)
        if forms is None:
            forms = frozenset(_forms_of(value))
            self._forms = None
        values[value] = forms
        if len(values) > MOST:
            del values[next(iter(values))]

    # Hiding

    def hide(self, text: str, start: int = 0, end: int | None = None) -> str:
        """Return `text[start:end]` without secrets; one that a cut goes through is hidden whole."""
        end = len(text) if end is None else min(end, len(text))
        seen = max(0, start - self.longest)
        shown = []
        for first, last in self._spans(text[seen : end + self.longest]):
            if start < seen + last and seen + first < end:
                shown += [text[start : seen + first], HIDDEN]
                start = seen + last
        return "".join([*shown, text[start:end]])

    def hide_in(self, value: Any) -> Any:
        """A JSON value with all its texts, names of members too, without secrets."""
        try:
            return self._hide_in(value)
        except RecursionError:
            return HIDDEN

    @property
    def longest(self) -> int:
        """Characters of the longest text that is looked for."""
        self._all_forms()
        return self._longest

    def _hide_in(self, value: Any) -> Any:
        match value:
            case str():
                return self.hide(value)
            case list():
                return [self._hide_in(item) for item in value]
            case dict():
                return {self._hide_in(name): self._hide_in(item) for name, item in value.items()}
        return value

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where secrets are, those that touch each other as one."""
        spans: list[tuple[int, int]] = []
        for first, last in sorted(_occurrences(text, self._all_forms())):
            if spans and first <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
            else:
                spans.append((first, last))
        return spans

    def _all_forms(self) -> frozenset[str]:
        if self._forms is None:
            self._forms = frozenset().union(*self._kept.values(), *self._carried.values())
            self._longest = max(map(len, self._forms), default=0)
        return self._forms


def _occurrences(text: str, forms: frozenset[str]) -> Iterator[tuple[int, int]]:
    for form in forms:
        at = text.find(form)
        while at >= 0:
            yield at, at + len(form)
            at = text.find(form, at + 1)


def _forms_of(value: str) -> Iterator[str]:
    """What to look for: the pieces of the value and of its lines, each in all its spellings."""
    yield from _spellings(value[:PIECE])
    value = value[:LONGEST]
    for text in (value, *map(str.strip, value.split("\n"))):
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
            if len(piece) >= SHORTEST:
                yield from _spellings(piece)


def _spellings(piece: str) -> set[str]:
    as_bytes = piece.encode("utf-8", "backslashreplace")
    spellings = {
        piece,
        json.dumps(piece)[1:-1],
        json.dumps(piece, ensure_ascii=False)[1:-1],
        repr(piece)[1:-1],
        repr(as_bytes)[2:-1],
    }
    return spellings | {spelling.replace("'", "\\'") for spelling in spellings}


def _secret_texts(value: object) -> Iterator[str]:
    """The texts under names that look secret, those in lists and objects there too."""
    unseen = [(value, False)]
    while unseen:
        value, is_secret = unseen.pop()
        match value:
            case str() if is_secret:
                yield value
            case list():
                unseen += [(item, is_secret) for item in value]
            case dict():
                unseen += [(item, is_secret or looks_secret(name)) for name, item in value.items()]


def _decoded(text: bytes) -> str:
    try:
        return msgspec.json.decode(text, type=str)
    except ValueError:
        return ""
