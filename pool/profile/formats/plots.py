"""The plots of a report, as SVG whose colours are those of the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from pool.profile.report import Command, Report, Snapshot, Start
from pool.profile.units import duration

WIDTH = 4.4
"""Inches: what a telephone shows with letters of 11 pixels. Wider pages have two side by side."""

TOLD = 12
"""Commands, workers or starts in one plot: of more, those that matter most."""

TICKS_APART = 0.25
"""Seconds over which the use of a processor is averaged, at least."""

# Matplotlib knows colours only, so each of these stands for a variable of the style sheet.
_VARIABLES = {
    "#00fe01": "--ink",
    "#00fe02": "--soft",
    "#00fe03": "--line",
    "#00fe11": "--c1",
    "#00fe12": "--c2",
    "#00fe13": "--c3",
    "#00fe14": "--c4",
    "#00fe15": "--c5",
    "#00fe16": "--c6",
}
INK, SOFT, LINE, BLUE, AMBER, GREEN, VIOLET, GREY, RED = _VARIABLES
SEVERAL = (BLUE, AMBER, GREEN, VIOLET, RED, GREY)

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bridgepool",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    # Font names go into the SVG; the style sheet has the last word on what is shown.
    "font.family": "DejaVu Sans",
}


class Plot:
    """A plot: a name for its ids, a `title` and a `caption` that says how to read it."""

    def __init__(
        self,
        name: str,
        title: str,
        caption: str,
        draw: Callable[[Figure, Report], None],
        is_there: Callable[[Report], bool],
        height: Callable[[Report], float] = lambda _: 2.6,
    ) -> None:
        self.name = name
        self.title = title
        self.caption = caption
        self.is_there = is_there
        self._draw = draw
        self._height = height

    def svg(self, report: Report) -> str:
        """An `svg` element to be put into a page."""
        with mpl.rc_context(_STYLE):
            figure = Figure(figsize=(WIDTH, self._height(report)), layout="constrained")
            self._draw(figure, report)
            text = io.StringIO()
            metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(text, format="svg", transparent=True, metadata=metadata)
        return _embedded(text.getvalue(), self.name, self.title)


def _embedded(svg: str, name: str, title: str) -> str:
    """Without what only a file of its own needs; ids are told apart from other plots'."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:)?href="#', f'href="#{name}-', svg).replace("url(#", f"url(#{name}-")
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    return svg.replace('role="img">', f'role="img"><title>{title}</title>', 1).strip()


# Latency


def _shown(report: Report) -> list[Command]:
    """The commands of the plot, the first below: those that took the most time."""
    return [command for command in report.commands if "call" in command.durations][:TOLD][::-1]


def _latency(figure: Figure, report: Report) -> None:
    axes = figure.subplots()
    commands = _shown(report)
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
    axes.set_yticks(range(len(commands)), [_short(command.name) for command in commands])
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


def _rows(report: Report) -> float:
    return 1.1 + 0.28 * len(_shown(report))


PHASES = ("queue wait", "encode", "transport", "compute", "decode")


def _where(figure: Figure, report: Report) -> None:
    """Mean seconds of each phase; what is in no phase is the rest of the call."""
    axes = figure.subplots()
    commands = _shown(report)
    for row, command in enumerate(commands):
        left = 0.0
        for (_, seconds), colour in zip(_shares(command), SEVERAL, strict=True):
            axes.barh(row, seconds, left=left, height=0.6, color=colour)
            left += seconds
    for (label, _), colour in zip(_labels(commands), SEVERAL, strict=True):
        axes.barh(0, 0, color=colour, label=label)
    axes.set_yticks(range(len(commands)), [_short(command.name) for command in commands])
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


# Over time


def _over_time(axes: Any) -> None:
    axes.set_xlabel("seconds")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)


def _queue(figure: Figure, report: Report) -> None:
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


def _load(figure: Figure, report: Report) -> None:
    above, below = figure.subplots(2, sharex=True, height_ratios=(1.2, 1))
    pairs = list(pairwise(_apart(report.snapshots)))
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


def _apart(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
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


def _memory(figure: Figure, report: Report) -> None:
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
            label=_short(worker.name) + (" (grows)" if leaks else ""),
        )
    axes.yaxis.set_major_formatter(EngFormatter("B", places=0))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    _over_time(axes)
    axes.set_ylim(0, 1.1 * max(point.resident for worker in shown for point in worker.memory))
    if len(shown) <= 6:
        figure.legend(loc="outside upper center", ncols=3, handlelength=1.4, columnspacing=1.2)


# Starts


def _starts(figure: Figure, report: Report) -> None:
    axes = figure.subplots()
    shown = report.starts[:TOLD][::-1]
    for row, start in enumerate(shown):
        begin = start.at - start.ready
        for seconds, (_, colour) in zip(_parts(start), PARTS, strict=True):
            axes.barh(row, seconds, left=begin, height=0.6, color=colour)
            begin += seconds
    in_all = [sum(part) for part in zip(*map(_parts, shown), strict=True)]
    for total, (label, colour) in zip(in_all, PARTS, strict=True):
        if total:
            axes.barh(0, 0, left=shown[0].at, color=colour, label=label)
    axes.set_yticks(range(len(shown)), [_short(start.worker) for start in shown])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    first, last = min(s.at - s.ready for s in shown), max(s.at for s in shown)
    axes.set_xlim(first - 0.03 * (last - first), last + 0.03 * (last - first))
    axes.set_xlabel("seconds")
    figure.legend(loc="outside upper center", ncols=4, handlelength=1, columnspacing=1.2)


PARTS = (("launch", GREY), ("import", VIOLET), ("start-up", AMBER), ("handshake", BLUE))


def _parts(start: Start) -> tuple[float, float, float, float]:
    """What a start took, part by part; a bridge may tell of more than there was."""
    launch = min(start.launch, start.ready)
    start_up = min(start.start_up, start.ready - launch)
    imports = min(start.imports, start.ready - launch - start_up)
    return launch, imports, start_up, start.ready - launch - imports - start_up


def _short(name: str) -> str:
    """As much of a name as has room, and no mathematics of matplotlib's."""
    shown = name if len(name) <= 18 else f"{name[:8]}…{name[-9:]}"
    printable = "".join(char if char.isprintable() else "?" for char in shown)
    return printable.replace("$", r"\$")


PLOTS = (
    Plot(
        "latency",
        "How long calls take",
        "From the moment a request is written until its reply is read, without the wait for a "
        "worker, on a logarithmic scale.",
        _latency,
        lambda report: bool(_shown(report)),
        _rows,
    ),
    Plot(
        "phases",
        "Where the time goes",
        "The mean of each part of a call, its wait for a worker included.",
        _where,
        lambda report: bool(_shown(report)),
        lambda report: _rows(report) + 0.2,
    ),
    Plot(
        "queue",
        "Queue and workers",
        "Checkouts that waited, the most at a time, and what the workers did.",
        _queue,
        lambda report: len(report.snapshots) > 1,
        lambda _: 3.0,
    ),
    Plot(
        "memory",
        "Memory of the workers",
        "Resident memory. A line that rises all the time is a leak; one that rises once is a "
        "cache or an import.",
        _memory,
        lambda report: any(len(worker.memory) > 1 for worker in report.workers),
        lambda _: 3.0,
    ),
    Plot(
        "starts",
        "Starts of workers",
        "What each start took, part by part. Import is nothing where a template has done it.",
        _starts,
        lambda report: bool(report.starts),
        lambda report: 1.2 + 0.24 * min(TOLD, len(report.starts)),
    ),
    Plot(
        "load",
        "Processors and event loop",
        "Processors that were busy, and how late the event loop came to what was due: much of "
        "that means that the application blocks it.",
        _load,
        lambda report: len(_apart(report.snapshots)) > 2 if report.snapshots else False,
        lambda _: 3.0,
    ),
)
