"""Bars, grouped by workload or one for each contender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from benchmarks.results import median_and_spread


def bars(
    path: Path, panels: Mapping[str, Mapping[str, Mapping[str, float]]], order: Sequence[str]
) -> None:
    """Draw a panel for each quantity: `panels[quantity][group][contender]`, on a log scale."""
    figure, axes = plt.subplots(1, len(panels), figsize=(6.5 * len(panels), 4.5))
    width = 0.8 / len(order)
    for axis, (quantity, groups) in zip(axes, panels.items(), strict=True):
        for number, contender in enumerate(order):
            places = [index + number * width for index in range(len(groups))]
            heights = [group.get(contender, float("nan")) for group in groups.values()]
            drawn = axis.bar(places, heights, width * 0.9, label=contender)
            axis.bar_label(drawn, fmt="%.3g", fontsize=6)
        axis.set_title(quantity)
        axis.set_yscale("log")
        axis.set_xticks([index + 0.4 - width / 2 for index in range(len(groups))], list(groups))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def ranking(
    path: Path, panels: Mapping[str, tuple[Mapping[str, Sequence[Mapping[str, Any]]], str]]
) -> None:
    """Draw a panel for each title: medians from least to greatest with their range, on a log scale.

    `panels[title]` is what each contender has answered, and which figure to draw.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(7 * len(panels), 5), squeeze=False)
    for axis, (title, (answers, name)) in zip(axes[0], panels.items(), strict=True):
        all_of_them = {who: median_and_spread(found, name) for who, found in answers.items()}
        drawn = {who: spread for who, spread in all_of_them.items() if spread and spread.median > 0}
        order = sorted(drawn, key=lambda who: drawn[who].median)
        low = [drawn[who].median - drawn[who].low for who in order]
        high = [drawn[who].high - drawn[who].median for who in order]
        colours = ["tab:orange" if who.startswith("bridgepool") else "tab:gray" for who in order]
        bar = axis.barh(
            order, [drawn[who].median for who in order], xerr=[low, high], color=colours
        )
        axis.bar_label(bar, fmt="%.3g", fontsize=7, padding=4)
        axis.set_title(title)
        axis.set_xscale("log")
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
