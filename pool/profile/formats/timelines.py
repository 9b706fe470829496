"""Plots of the system over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from pool.profile.formats.svg import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    SEVERAL,
    TOLD,
    VIOLET,
    short,
)
from pool.profile.report import Report, Snapshot, Start
from pool.profile.units import duration

TICKS_APART = 0.25
"""Seconds over which the use of a processor is averaged, at least."""


def _over_time(axes: Any) -> None:
    axes.set_xlabel("seconds")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)


def queue(figure: Figure, report: Report) -> None:
    above, below = figure.subplots(2, sharex=True, height_ratios=(1, 1.2))
    at = [seen.at for seen in report.snapshots]
    waiting = [seen.waiting for seen in report.snapshots]
    above.fill_between(at, waiting, step="post", color=AMBER, alpha=0.35, linewidth=0)
    above.step(at, waiting, where="post", color=AMBER)
    above.set_ylabel("waiting")
    above.set_ylim(0, max(1, *waiting) * 1.1)
    above.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    states = ("busy", "idle", "starting", "abandoned", "stopping")
    heights = [[getattr(seen, state) for seen in report.snapshots] for state in states]
    told = [i for i, height in enumerate(heights) if any(height)] or [0]
    below.stackplot(
        at,
        [heights[i] for i in told],
        labels=[states[i] for i in told],
        colors=[(BLUE, GREEN, AMBER, RED, GREY)[i] for i in told],
        step="post",
    )
    below.set_ylabel("workers")
    below.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    _over_time(below)
    figure.legend(loc="outside upper center", ncols=3, handlelength=1, columnspacing=1.2)


def load(figure: Figure, report: Report) -> None:
    above, below = figure.subplots(2, sharex=True, height_ratios=(1.2, 1))
    pairs = list(pairwise(apart(report.snapshots)))
    at = [later.at for _, later in pairs]
    for name, label, colour in (
        ("workers_cpu", "workers", BLUE),
        ("cpu", "this process", AMBER),
    ):
        above.plot(at, [_rate(pair, name) for pair in pairs], color=colour, label=label)
    above.set_ylabel("processors")
    above.set_ylim(bottom=0)
    above.yaxis.set_major_locator(MaxNLocator(3))
    lags = [(seen.at, seen.lag) for seen in report.snapshots]
    below.plot(*zip(*lags, strict=True), color=RED, label="loop lag")
    below.set_ylim(bottom=0)
    below.set_ylabel("loop lag")
    below.yaxis.set_major_locator(MaxNLocator(3))
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    _over_time(below)
    figure.legend(loc="outside upper center", ncols=3, handlelength=1.4, columnspacing=1.2)


def apart(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """So far apart that the kernel's ticks of 10 ms do not show in rates."""
    least = max(TICKS_APART, snapshots[-1].at / 100)
    chosen = [snapshots[0]]
    for seen in snapshots:
        if seen.at - chosen[-1].at >= least:
            chosen.append(seen)
    return chosen


def _rate(pair: tuple[Snapshot, Snapshot], name: str) -> float:
    earlier, later = pair
    spent: float = getattr(later, name) - getattr(earlier, name)
    return spent / max(1e-3, later.at - earlier.at)


def memory(figure: Figure, report: Report) -> None:
    axes = figure.subplots()
    seen = [worker for worker in report.workers if len(worker.memory) > 1]
    shown = sorted(seen, key=lambda worker: (-worker.trend.growth, -worker.peak))[:TOLD]
    for place, worker in enumerate(shown):
        leaks = worker.trend.leak_suspected
        axes.plot(
            [point.at for point in worker.memory],
            [point.resident for point in worker.memory],
            color=RED if leaks else SEVERAL[place % 4],
            linewidth=2 if leaks else 1.2,
            alpha=1 if leaks else 0.8,
            label=short(worker.name) + (" (grows)" if leaks else ""),
        )
    axes.yaxis.set_major_formatter(EngFormatter("B", places=0))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    _over_time(axes)
    axes.set_ylim(0, 1.1 * max(point.resident for worker in shown for point in worker.memory))
    if len(shown) <= 6:
        figure.legend(loc="outside upper center", ncols=3, handlelength=1.4, columnspacing=1.2)


# Starts


def starts(figure: Figure, report: Report) -> None:
    axes = figure.subplots()
    shown = (*report.templates, *report.starts)[:TOLD][::-1]
    for row, start in enumerate(shown):
        begin = start.at - start.ready
        for seconds, (_, colour) in zip(_parts(start), PARTS, strict=True):
            axes.barh(row, seconds, left=begin, height=0.6, color=colour)
            begin += seconds
    in_all = [sum(part) for part in zip(*map(_parts, shown), strict=True)]
    for total, (label, colour) in zip(in_all, PARTS, strict=True):
        if total:
            axes.barh(0, 0, left=shown[0].at, color=colour, label=label)
    axes.set_yticks(range(len(shown)), [short(start.worker) for start in shown])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    first, last = min(s.at - s.ready for s in shown), max(s.at for s in shown)
    axes.set_xlim(first - 0.03 * (last - first), last + 0.03 * (last - first))
    axes.set_xlabel("seconds")
    figure.legend(loc="outside upper center", ncols=4, handlelength=1, columnspacing=1.2)


PARTS = (("launch", GREY), ("import", VIOLET), ("start-up", AMBER), ("the rest", BLUE))


def _parts(start: Start) -> tuple[float, float, float, float]:
    """What a start took, part by part; a bridge may tell of more than there was."""
    launch = min(start.launch, start.ready)
    start_up = min(start.start_up, start.ready - launch)
    imports = min(start.imports, start.ready - launch - start_up)
    return launch, imports, start_up, start.ready - launch - imports - start_up
