"""The rows of docs/failures.md, and what each claims, in words a test can compare."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs/failures.md"
HEADINGS = ("Failure", "How it shows", "What the pool does", "What is yours")

_CODE = re.compile(r"`([^`]+)`")
_CLASS = re.compile(r"[A-Z]\w+")
_CLAIM = re.compile(r'(?P<stats>stats\(\)\.)?(?P<name>\w+)(\["(?P<key>\w+)"\])?(=(?P<value>.+))?')


@dataclass(frozen=True)
class Claim:
    """That an attribute of the error, or of `pool.stats()`, is `value`; None: that there is one."""

    of_stats: bool
    name: str
    key: str | None
    value: str | None

    def holds(self, of: object) -> bool:
        found: Any = getattr(of, self.name, None)
        if self.key is not None:
            found = found.get(self.key) if isinstance(found, Mapping) else None
        found = getattr(found, "value", found)  # of an enumeration
        return bool(found) if self.value is None else bool(found == literal_eval(self.value))


@dataclass(frozen=True)
class Row:
    """One failure: the class that the caller gets, None for no error, and what else is claimed."""

    failure: str
    error: str | None
    claims: tuple[Claim, ...]
    advice: tuple[str, ...]


def read_table(text: str) -> Iterator[Row]:
    """All rows of the page's tables; `ValueError` for one that is not made as they are."""
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
            if len(cells) != len(HEADINGS) or not all(cells[:3]):
                raise ValueError(f"a row without all of its cells: {line}")
            if cells != HEADINGS:
                yield _row(*cells)


def _row(failure: str, shows: str, *rest: str) -> Row:
    first, *others = _CODE.findall(shows) or [""]
    names_a_class = bool(_CLASS.fullmatch(first))
    claimed = others if names_a_class else [first, *others][: None if first else 0]
    advice = tuple(word for cell in rest for word in _CODE.findall(cell))
    return Row(failure, first if names_a_class else None, tuple(map(_claim, claimed)), advice)


def _claim(code: str) -> Claim:
    found = _CLAIM.fullmatch(code)
    if found is None:
        raise ValueError(f"`{code}` is nothing that can be compared")
    return Claim(bool(found["stats"]), found["name"], found["key"], found["value"])
