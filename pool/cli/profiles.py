"""`bridgepool report`, and files that profiles are written to."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from pool import WorkerPool
from pool.cli.options import READABLE, SECONDS
from pool.profile import Report, compare, from_json, judge
from pool.profile.formats import BY_SUFFIX, FORMATS
from pool.profile.formats.text import comparison_text

T = TypeVar("T")

WRITABLE = click.Path(dir_okay=False, writable=True, path_type=Path)
_PLOTS = "matplotlib"
_SKETCH = "ddsketch"


def profile_file(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """A file whose name says what is to be in it, where that can be made."""
    if path is None:
        return None
    if path.suffix not in BY_SUFFIX:
        raise click.BadParameter(f"its name has to end with one of {', '.join(BY_SUFFIX)}")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.absolute().parent}")
    _need(_SKETCH)
    if BY_SUFFIX[path.suffix] == "html":
        _need(_PLOTS)
    return path


def _need(module: str) -> None:
    if find_spec(module) is None:
        raise click.ClickException(f"{module} is missing: pip install 'bridgepool[profile]'")


async def profiled(pool: WorkerPool, work: Awaitable[T], path: Path) -> T:
    """Await what opens, uses and closes a pool, and write a profile of it."""
    with pool.profile() as profile:
        done = await work
    _write(FORMATS[BY_SUFFIX[path.suffix]](profile.report()), path)
    return done


def _write(text: str, path: Path | None) -> None:
    if path is None:
        click.echo(text.rstrip("\n"))
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None


@click.command("report")
@click.argument("file", type=READABLE)
@click.argument("new", type=READABLE, required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    help="By default what the name of the output asks for, else text.",
)
@click.option("--output", type=WRITABLE, help="In place of the standard output.")
@click.option("--slow", type=SECONDS, help="Seconds that the P95 of a command may take.")
@click.option("--start", type=SECONDS, help="Seconds that a worker may take to start.")
def report_command(
    file: Path,
    new: Path | None,
    format_: str | None,
    output: Path | None,
    slow: float | None,
    start: float | None,
) -> None:
    """Show the profile in FILE, or what has changed from FILE to NEW.

    The files are JSON, as `bridgepool stress --profile FILE.json` writes it. Of two
    profiles it tells what differs by more than a tenth, and exits with 1 if a command
    has become slower (P50, P95) or fails more often, or there is a new finding.
    """
    if format_ is None:
        format_ = "text" if output is None else BY_SUFFIX.get(output.suffix, "text")
    old = _judged(_read(file), slow, start)
    if new is None:
        if format_ == "html":
            _need(_PLOTS)
        _write(FORMATS[format_](old), output)
        return
    changed = compare(old, _judged(_read(new), slow, start))
    if format_ not in ("text", "json"):
        raise click.UsageError("two profiles are compared as text or json")
    as_text = format_ == "text"
    _write(comparison_text(changed) if as_text else msgspec.json.encode(changed).decode(), output)
    sys.exit(int(changed.is_worse))


def _read(file: Path) -> Report:
    try:
        return from_json(file.read_bytes())
    except ValueError as error:
        raise click.ClickException(f"{file}: it is not a profile: {error}") from None


def _judged(report: Report, slow: float | None, start: float | None) -> Report:
    """By other thresholds than those that it was made with, if some are given."""
    given = {name: value for name, value in (("slow", slow), ("start", start)) if value}
    return judge(report, msgspec.structs.replace(report.thresholds, **given)) if given else report
