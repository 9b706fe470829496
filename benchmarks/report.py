"""From the answers of many samples to tables and plots, the same way for every benchmark."""

from __future__ import annotations

import argparse
import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.results import FOLDER, Table, median_and_spread, save
from benchmarks.running import Answers, take_in_turn

ROUNDS = 3

Answered = Mapping[str, Sequence[Mapping[str, Any]]]
"""What each contender's samples have answered."""


@dataclass(frozen=True)
class Column:
    """A figure of the answers; with `over`, its median as a multiple of that contender's."""

    title: str
    figure: str
    over: str | None = None

    def cell(self, contender: str, answers: Answered) -> str:
        if self.over is None:
            return cell(answers[contender], self.figure)
        own = median_and_spread(answers[contender], self.figure)
        base = median_and_spread(answers.get(self.over, []), self.figure)
        return f"{own.median / base.median:.2f} x" if own and base else ""


def cell(samples: Sequence[Mapping[str, Any]], figure: str) -> str:
    """The median with its range; nothing where no sample has it."""
    spread = median_and_spread(samples, figure)
    return str(spread) if spread else ""


@dataclass(frozen=True)
class Report:
    tables: Sequence[Table]
    panels: Mapping[str, tuple[Answered, str]]
    """What a plot shows: its title, then answers and the figure of them."""


def compare(title: str, answers: Answered, columns: Sequence[Column]) -> Table:
    """A row for each contender, in the order given; who failed says so in the last column."""
    table = Table(title, ["", *(column.title for column in columns), ""])
    for contender, samples in answers.items():
        cells = [column.cell(contender, answers) for column in columns]
        table.add(contender, *cells, remarks(samples))
    return table


def remarks(samples: Sequence[Mapping[str, Any]]) -> str:
    """What went wrong, and in how many of the samples."""
    wrong = Counter(str(sample["failed"]) for sample in samples if "failed" in sample)
    wrong["could not be closed"] = sum(
        "unclosed" in sample and "failed" not in sample for sample in samples
    )
    return "; ".join(
        f"{what} ({count} of {len(samples)})" for what, count in wrong.items() if count
    ).replace("|", "\\|")


def run(name: str, *, quick: bool) -> None:
    """Take, print and keep the benchmark `benchmarks.bench_NAME`."""
    from benchmarks import plots

    benchmark = importlib.import_module(f"benchmarks.bench_{name}")
    rounds = 1 if quick else getattr(benchmark, "ROUNDS", ROUNDS)
    taken: Answers = take_in_turn(benchmark.plan(quick=quick), rounds)
    made: Report = benchmark.report(taken)
    save(name, made.tables, taken)
    plots.ranking(FOLDER / f"{name}.png", made.panels)


def main(name: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one short sample of each")
    run(name, quick=parser.parse_args().quick)
