"""Options that several commands have, and their types."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

SECONDS = click.FloatRange(min=0, min_open=True)
READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


def workers(size: int | None, overflow: int) -> Callable[[Command], Command]:
    """How many workers there are, and how they start. A size of None is the pool's default."""
    sizes = size or "as many as processors"
    options = [
        click.option("--size", default=size, show_default=sizes, type=click.IntRange(1)),
        click.option("--overflow", default=overflow, show_default=True, type=click.IntRange(0)),
        click.option(
            "--start-method", default="forkserver", type=click.Choice(["forkserver", "spawn"])
        ),
    ]

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


log_level = click.option(
    "--log-level", default="error", type=click.Choice(["debug", "info", "warning", "error"])
)


def json_object(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """A JSON object on the command line."""
    if value is None:
        return None
    try:
        decoded = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"it is not JSON: {error}") from None
    if not isinstance(decoded, dict):
        example = '{"lm": {"model": "local/echo"}}'
        raise click.BadParameter(f"an object is expected, such as '{example}'")
    return decoded


start_up_options = click.option(
    "--options",
    metavar="JSON",
    callback=json_object,
    help="The bridge's start-up options, an object.",
)
