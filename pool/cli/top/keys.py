"""Waiting on a terminal: for news, for a key, or for some time."""

from __future__ import annotations

import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import read
from typing import Protocol


class HasFileno(Protocol):
    def fileno(self) -> int: ...


Wait = Callable[[HasFileno, float], bool]
"""Waits until there is news or so many seconds have passed; False if q was pressed."""


@contextmanager
def keys() -> Iterator[Wait]:
    """Read single keys from stdin, not shown, while the block runs; none if it is no terminal."""
    if not sys.stdin.isatty():
        yield lambda news, seconds: _wait([news], seconds)
        return
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    try:
        tty.setcbreak(stdin)
        yield lambda news, seconds: _wait([news, sys.stdin], seconds)
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def _wait(sources: list[HasFileno], seconds: float) -> bool:
    readable, _, _ = select.select(sources, (), (), seconds)
    if sys.stdin not in readable:
        return True
    pressed = read(sys.stdin.fileno(), 64)
    # Nothing is the end of a terminal that was hung up.
    return bool(pressed) and not {*b"qQ"} & {*pressed}
