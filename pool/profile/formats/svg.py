"""A plot as SVG whose colours are those of the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from pool.profile.report import Report
from pool.quotes import plain

WIDTH = 4.4
"""Inches: what a telephone shows with letters of 11 pixels. Wider pages have two side by side."""

TOLD = 12
"""Commands, workers or starts in one plot: of more, those that matter most."""

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


def short(name: str) -> str:
    """As much of a name as has room, and no mathematics of matplotlib's."""
    shown = name if len(name) <= 18 else f"{name[:8]}…{name[-9:]}"
    return plain(shown).replace("$", r"\$")
