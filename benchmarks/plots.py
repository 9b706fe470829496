"""Bars, one group for each workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt


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
