"""Profiles of a pool: where the time of calls goes, what workers take, what is wrong.

`WorkerPool.profile` makes them, and needs the extra "profile". A report that was made
can be read, judged, compared and shown without it, but for its page and its plots.
"""

from pool.profile.compare import compare
from pool.profile.findings import judge
from pool.profile.formats import as_calls, as_csv, as_html, as_json, as_line, as_text
from pool.profile.report import Report, from_json
from pool.profile.sla import Verdict, Violation
from pool.profile.thresholds import Finding, Thresholds

__all__ = [
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
