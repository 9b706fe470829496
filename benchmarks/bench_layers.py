"""Where the microseconds of a warm echo go: each row adds a part of bridgepool to the one before.

One worker, both processes on one core, one call after the other.
`python -m benchmarks.bench_layers [--quick]` writes `benchmarks/results/layers.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from benchmarks.pools import LIMIT
from benchmarks.report import Report, cell, main, remarks
from benchmarks.results import Table, median_and_spread
from benchmarks.running import Answers, Sample, by_contender

PARTS = {
    "limit: blocking pipe": "two processes, pipes and JSON",
    LIMIT: "the event loop: readiness, a future, a turn for the caller",
    "limit: add_reader, our bridge": "the bridge: stop signal, arguments checked, context, report",
    "limit: our conversation": "link and conversation: any frames, deadlines, secrets; the caller "
    "goes on at once, which saves a turn",
    "bridgepool, call": "the pool: admission, the slot lent and given back, counts, service times",
    "bridgepool, checkout": "a lease: entered and left, turns, an end of its own",
}


def plan(*, quick: bool) -> list[Sample]:
    seconds = 0.2 if quick else 0.6
    settings = (("regime", "one core"), ("seconds", seconds))
    return [Sample("bench_echo", name, settings) for name in PARTS]


def report(taken: Answers) -> Report:
    answers = by_contender(taken, {})
    table = Table(
        "Echo of 200 bytes on one core: what each part adds",
        ["", "P50 µs", "added µs", "CPU µs, parent", "CPU µs, child", "what is added", ""],
    )
    added = {"limit: blocking pipe": ""}
    for before, name in pairwise(PARTS):
        added[name] = _added(answers, before, name)
    for name, part in PARTS.items():
        samples = answers[name]
        figures = [cell(samples, figure) for figure in ("p50_us", "parent_us", "child_us")]
        table.add(name, figures[0], added[name], *figures[1:], part, remarks(samples))
    return Report([table], {"P50 µs": (answers, "p50_us")})


def _added(answers: Mapping[str, list[dict[str, Any]]], before: str, name: str) -> str:
    less, more = (median_and_spread(answers[each], "p50_us") for each in (before, name))
    return f"{more.median - less.median:+.1f}" if less and more else ""


if __name__ == "__main__":
    main("layers")
