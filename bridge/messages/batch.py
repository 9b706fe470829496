"""What a bridge answers to a batch: many calls of one command in one request."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

FRAME_BYTES = 200
"""At most what a frame takes besides the results and failures in it."""

FAILURE_BYTES = 32
"""At most what a failure takes besides itself: its place, and null among the results."""


class CallFailure(Struct, omit_defaults=True):
    """Why one call of a batch failed."""

    error: str
    error_type: str | None = None
    traceback: str | None = None
    details: Any = None


class Results(Struct):
    """Bridge to pool: some calls of a batch are done.

    `results` is a list with a value for each, null for one that failed;
    `failures` an object with a `CallFailure` for each of those, by its place
    in the batch.
    """

    id: int
    event: str
    results: Raw
    failures: Raw


class BatchReply(Struct, omit_defaults=True):
    """Bridge to pool: all calls of a batch are done. It has those that were in no `Results`.

    `compute` and `phases` are for all of them together.
    """

    id: int
    success: bool
    results: Raw
    failures: Raw
    timestamp: float
    compute: float | None = None
    phases: dict[str, float] | None = None
