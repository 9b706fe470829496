"""Profiles of a pool: where the time of calls goes, what workers take, what is wrong.

Needs the extra "profile".
"""

from pool.profile.compare import compare
from pool.profile.findings import judge
from pool.profile.formats import as_calls, as_csv, as_html, as_json, as_line, as_text
from pool.profile.profiler import Profiler
from pool.profile.report import Report, from_json
from pool.profile.sla import Verdict, Violation
from pool.profile.sync import SyncProfiler
from pool.profile.thresholds import Finding, Thresholds

__all__ = [
    "Profiler",
    "SyncProfiler",
    "Report",
    "Finding",
    "Thresholds",
    "Verdict",
    "Violation",
    "from_json",
    "judge",
    "compare",
    "as_text",
    "as_line",
    "as_calls",
    "as_csv",
    "as_json",
    "as_html",
]
