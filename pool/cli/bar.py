"""A progress bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn

Update = Callable[..., None]
"""Takes what is new: `completed`, and what the columns show besides."""


@contextmanager
def bar(
    description: str, *columns: ProgressColumn, total: int | None, **fields: Any
) -> Iterator[Update]:
    """Show how much of `total` is done, with columns of one's own behind it; on stderr."""
    console = Console(stderr=True)
    shown = (TextColumn("{task.description}"), BarColumn(), *columns)
    with Progress(*shown, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total, **fields)

        def update(**news: Any) -> None:
            progress.update(task, **news)

        yield update


def is_shown() -> bool:
    """Whether there is a terminal to show one on."""
    return Console(stderr=True).is_terminal
