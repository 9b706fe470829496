"""From where on something is a finding, and what a finding is. Pure."""

from __future__ import annotations

from msgspec import Struct


class Thresholds(Struct, frozen=True, kw_only=True):
    """What is exceeded by a finding. Seconds, unless it says otherwise.

    `slow` is of a command's 95th percentile. None: 1 s, or, where five commands or
    more were called, `outlier` times the median of the others' percentiles if that is
    less, but never less than `noise`. `variance` is how many times its median a
    command's 95th percentile may be, if they are more than `noise` apart. `queueing`
    is of the 95th percentile of the wait for a worker, or the median call if that
    takes longer. `start` is of the workers' median start. `leak` is how many times
    what `pool.profile.trend` allows a worker may grow by. To `noise` is
    added how late the event loop came (its 95th percentile). Commands with fewer than
    `calls` are not looked at.
    """

    slow: float | None = None
    outlier: float = 5.0
    variance: float = 5.0
    queueing: float = 0.1
    start: float = 1.0
    leak: float = 1.0
    noise: float = 0.05
    calls: int = 20


class Finding(Struct, frozen=True):
    """Something that exceeds its threshold, `ratio` times; `says` what, `advice` what to do.

    `kind` is "slow", "high variance", "queueing", "start" or "leak"; `severity`
    "critical", "high", "medium" or "low"; `subject` is a command, "checkouts" or "workers".
    """

    kind: str
    severity: str
    subject: str
    ratio: float
    measured: float
    threshold: float
    says: str
    advice: str


def severity(ratio: float) -> str | None:
    """How bad it is to exceed a threshold so many times; None if it is not exceeded."""
    if ratio > 3:
        return "critical"
    if ratio >= 2:
        return "high"
    if ratio >= 1.5:
        return "medium"
    return "low" if ratio > 1 else None
