"""The view of a pool in this process, drawn while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from pool.cli.top.frame import Frame
from pool.cli.top.reading import Reading
from pool.cli.top.render import View
from pool.cli.top.snapshot import Readings

PERIOD = 1.0
"""Seconds between frames."""


class Drawn:
    """What is to be drawn next: read by the thread that draws, set by the one that works."""

    def __init__(self, source: str, read: Callable[[], Reading]) -> None:
        self._read = read
        self._readings = Readings()
        self._drawn_at = float("-inf")
        self._source = source
        self.frame = Frame(source)

    def look(self, now: float, progress: str) -> None:
        """Read anew, if it is time for that."""
        if now - self._drawn_at >= PERIOD:
            self._drawn_at = now
            snapshot = self._readings.add(self._read())
            self.frame = Frame(self._source, snapshot, progress=progress)


@contextmanager
def live(drawn: Drawn) -> Iterator[None]:
    """Draw on stderr while the block runs, and take it away at the end.

    A terminal that takes nothing holds up a thread of its own, never who works.
    """
    console = Console(stderr=True, highlight=False)
    with Live(
        get_renderable=lambda: View(drawn.frame, console.height),
        console=console,
        refresh_per_second=1 / PERIOD,
        transient=True,
    ):
        yield
