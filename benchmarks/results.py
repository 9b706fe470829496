"""Figures as tables, as JSON, and as a plot."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Spread:
    """The median of some samples, with the least and the greatest."""

    median: float
    low: float
    high: float

    def __bool__(self) -> bool:
        """Whether any sample had it."""
        return self.median == self.median

    def __str__(self) -> str:
        digits = 0 if self.median >= 20 else 2
        text = f"{self.median:.{digits}f}"
        if self.low == self.high:
            return text
        return f"{text} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def median_and_spread(samples: Sequence[Mapping[str, Any]], name: str) -> Spread:
    """Of one figure; NaN where no sample has it, as of a contender that failed."""
    values = [sample[name] for sample in samples if name in sample]
    if not values:
        return Spread(*[float("nan")] * 3)
    return Spread(statistics.median(values), min(values), max(values))


@dataclass
class Table:
    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        self.rows.append([str(cell) for cell in cells])

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", _row(self.columns), _row(["---"] * len(self.columns))]
        return "\n".join([*lines, *map(_row, self.rows), ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def save(name: str, tables: Sequence[Table], samples: Mapping[Any, Any]) -> None:
    """Keep the tables, and every sample they were made from; print the tables."""
    FOLDER.mkdir(exist_ok=True)
    raw = [
        {"sample": asdict(key) if is_dataclass(key) else key, "measured": measured}  # type: ignore[arg-type]
        for key, measured in samples.items()
    ]
    text = "\n".join(table.markdown() for table in tables)
    (FOLDER / f"{name}.json").write_text(json.dumps(raw, indent=1))
    (FOLDER / f"{name}.md").write_text(text)
    print(text)
