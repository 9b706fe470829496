"""A report for people and for programs."""

from __future__ import annotations

from collections.abc import Callable

from pool.profile.formats.page import as_html
from pool.profile.formats.table import as_csv
from pool.profile.formats.text import as_calls, as_line, as_text
from pool.profile.report import Report


def as_json(report: Report) -> str:
    """The whole profile, for `pool.profile.from_json`."""
    return report.to_json().decode()


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": as_text,
    "line": as_line,
    "calls": as_calls,
    "csv": as_csv,
    "json": as_json,
    "html": as_html,
}

BY_SUFFIX = {".html": "html", ".htm": "html", ".json": "json", ".csv": "csv", ".txt": "text"}
"""The format of a file by its name."""

__all__ = [
    "as_text",
    "as_line",
    "as_calls",
    "as_csv",
    "as_json",
    "as_html",
    "FORMATS",
    "BY_SUFFIX",
]
