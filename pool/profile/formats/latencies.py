"""Plots of what calls take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pool.profile.formats.svg import AMBER, BLUE, GREY, LINE, RED, SEVERAL, TOLD, short
from pool.profile.report import Command, Report
from pool.profile.units import duration


def shown(report: Report) -> list[Command]:
    """The commands of the plot, the first below: those that took the most time."""
    return [command for command in report.commands if "call" in command.durations][:TOLD][::-1]


def latency(figure: Figure, report: Report) -> None:
    axes = figure.subplots()
    commands = shown(report)
    marks = (("p50", "P50", BLUE), ("p95", "P95", AMBER), ("p99", "P99", RED), ("max", "max", GREY))
    for row, command in enumerate(commands):
        known = command.durations["call"]
        axes.plot([known.min, known.max], [row, row], color=LINE, linewidth=3, zorder=1)
        for place, (name, _, colour) in enumerate(marks):
            axes.scatter(getattr(known, name), row, s=26, color=colour, zorder=6 - place)
    for _, label, colour in marks:
        axes.scatter([], [], s=26, color=colour, label=label)
    _logarithmic(axes, commands)
    axes.set_ylim(-0.6, len(commands) - 0.4)
    axes.set_yticks(range(len(commands)), [short(command.name) for command in commands])
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    figure.legend(loc="outside upper center", ncols=4, handletextpad=0.1, columnspacing=1.2)


def _logarithmic(axes: Any, commands: Sequence[Command]) -> None:
    """A scale of at least a factor of six, with three to six labels."""
    calls = [command.durations["call"] for command in commands]
    least = max(1e-7, min(known.min for known in calls))
    most = max(least, *(known.max for known in calls))
    around = max(1.2, (6 * least / most) ** 0.5)
    axes.set_xscale("log")
    axes.set_xlim(least / around, most * around)
    steps = (1.0, 2.0, 5.0) if most < 30 * least else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=7))
    axes.xaxis.set_minor_locator(NullLocator())


def rows(report: Report) -> float:
    return 1.1 + 0.28 * len(shown(report))


PHASES = ("queue wait", "encode", "transport", "compute", "decode")


def where(figure: Figure, report: Report) -> None:
    """Mean seconds of each phase; what is in no phase is the rest of the call."""
    axes = figure.subplots()
    commands = shown(report)
    for row, command in enumerate(commands):
        left = 0.0
        for (_, seconds), colour in zip(_shares(command), SEVERAL, strict=True):
            axes.barh(row, seconds, left=left, height=0.6, color=colour)
            left += seconds
    for (label, _), colour in zip(_labels(commands), SEVERAL, strict=True):
        axes.barh(0, 0, color=colour, label=label)
    axes.set_yticks(range(len(commands)), [short(command.name) for command in commands])
    axes.set_ylim(-0.6, len(commands) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    figure.legend(loc="outside upper center", ncols=3, handlelength=1, columnspacing=1.2)


def _shares(command: Command) -> list[tuple[str, float]]:
    means = {name: known.mean for name, known in command.durations.items()}
    shares = [(name, means.get(name, 0.0)) for name in PHASES]
    # Where the bridge does not tell what it computed, the whole call is one bar.
    return [*shares, ("call", 0.0 if "compute" in means else means["call"])]


def _labels(commands: Sequence[Command]) -> list[tuple[str, float]]:
    """Each phase; those that no command has get no place in the legend."""
    sums = [0.0] * (len(PHASES) + 1)
    for command in commands:
        sums = [a + b for a, (_, b) in zip(sums, _shares(command), strict=True)]
    return [
        (name if total else f"_{name}", total)
        for name, total in zip((*PHASES, "call"), sums, strict=True)
    ]
