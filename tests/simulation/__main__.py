"""`python -m tests.simulation --seeds 100000`: many stories, on all processors.

Prints each seed that fails; `python -m tests.simulation --first SEED --seeds 1` tells it again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from tests.simulation.many import failures


@click.command()
@click.option("--seeds", default=2_000, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--first", default=0, show_default=True, type=click.IntRange(0))
def main(seeds: int, first: int) -> None:
    """Tell many stories; exit with 1 if any went wrong."""
    count = 0
    with click.progressbar(length=seeds, label="seeds", file=sys.stderr) as bar:
        for failed in failures(range(first, first + seeds), on_progress=bar.update):
            count += _report(failed)
    click.echo(f"{seeds} seeds, {count} failed")
    sys.exit(count > 0)


def _report(failed: Iterable[tuple[int, str]]) -> int:
    count = 0
    for seed, story in failed:
        count += 1
        click.echo(f"\nseed {seed}:\n{story}")
    return count


main()
