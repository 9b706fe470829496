"""`bridgepool top`: a pool in another process, seen live."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.live import Live

from pool.cli.top.frame import Frame
from pool.cli.top.keys import Wait, keys
from pool.cli.top.reading import Reading
from pool.cli.top.render import View
from pool.cli.top.snapshot import Readings, Snapshot

if TYPE_CHECKING:
    from pool.cli.top.fetch import Endpoint
    from pool.cli.top.looks import Looks

PATIENCE = 7.0
"""Seconds that a look may take: each of its two requests has three."""


@click.command()
@click.argument("address", metavar="HOST:PORT")
@click.option(
    "--interval",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0.1, max=3600),
    help="Seconds between looks.",
)
@click.option("--once", is_flag=True, help="Look twice, so that there are rates; print that.")
def top(address: str, interval: float, once: bool) -> None:
    """Show the pool whose telemetry endpoint is at HOST:PORT, or at a URL.

    Ctrl-C or q ends it. While the endpoint does not answer, the last figures stay and
    say how old they are. With --once, exits with 1 if it does not answer. Colours are
    for terminals, and not if NO_COLOR is set.
    """
    endpoint = _endpoint(address)
    console = Console(highlight=False)
    if once:
        _print_once(endpoint, interval, console)
    elif not console.is_terminal:
        raise click.UsageError("the output is no terminal; --once prints one frame")
    else:
        _watch(endpoint, interval, console)


def _endpoint(address: str) -> Endpoint:
    try:
        from pool.cli.top.fetch import Endpoint
    except ImportError as error:
        text = f"{error}; it is needed to read metrics: pip install 'bridgepool[telemetry]'"
        raise click.ClickException(text) from None
    try:
        return Endpoint(address)
    except ValueError as error:
        raise click.UsageError(f"{address!r}: {error}") from None


def _print_once(endpoint: Endpoint, interval: float, console: Console) -> None:
    from pool.cli.top.fetch import Unreadable

    readings = Readings()
    try:
        readings.add(endpoint.read())
        time.sleep(interval)
        snapshot = readings.add(endpoint.read())
    except Unreadable as error:
        raise click.ClickException(f"{endpoint}: {error}") from None
    console.print(View(Frame(str(endpoint), snapshot)))


def _watch(endpoint: Endpoint, interval: float, console: Console) -> None:
    from pool.cli.top.looks import Looks

    screen = Screen(str(endpoint), time.monotonic(), interval + PATIENCE)
    with (
        _interruptible(),
        keys() as wait,
        Looks(endpoint.read, interval) as looks,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        _draw(screen, looks, live, wait)


def _draw(screen: Screen, looks: Looks, live: Live, wait: Wait) -> None:
    """A frame whenever there is news, and each second: figures that are old grow older."""
    while True:
        frame = screen.frame(looks.take(), time.monotonic())
        live.update(View(frame, live.console.height), refresh=True)
        if not wait(looks, 1.0):
            return


class Screen:
    """What is shown now: the last snapshot that there was, and why there is no newer one.

    A look of which nothing is heard for `patience` seconds is a problem too.
    """

    def __init__(self, source: str, now: float, patience: float) -> None:
        self._source = source
        self._patience = patience
        self._readings = Readings()
        self._snapshot: Snapshot | None = None
        self._read_at = self._heard_at = now
        self._problem: str | None = None

    def frame(self, news: Reading | Exception | None, now: float) -> Frame:
        """Take in what a look has found, and say what to draw."""
        if news is not None:
            self._heard_at = now
            self._problem = None if isinstance(news, Reading) else str(news)
        elif now - self._heard_at > self._patience:
            self._problem = "it takes too long"
        if isinstance(news, Reading):
            self._snapshot, self._read_at = self._readings.add(news), news.at
        return Frame(self._source, self._snapshot, self._problem, now - self._read_at)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block, which leaves the terminal as it was."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(0)
    finally:
        signal.signal(signal.SIGTERM, before)
