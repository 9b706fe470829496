"""Values that must not leave in an error's text."""

from __future__ import annotations

import os
import re

HIDDEN = "[hidden]"

_SECRET_NAME = re.compile(r"(?i)(key|token|secret|passw|credential)")
_SHORTEST = 8
"""Characters below which a variable's value is taken for a word, not for a secret."""

_kept: set[str] = set()


def keep_secret(value: str | None) -> None:
    """Hide `value` in every error that this bridge reports from now on."""
    if value:
        _kept.add(value)


def hide_secrets(text: str) -> str:
    """Replace what was kept secret, and the values of variables whose names look secret."""
    for value in sorted(_kept | _from_environment(), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text


def _from_environment() -> set[str]:
    return {
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST
    }
