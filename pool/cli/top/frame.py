"""What one frame shows. Pure."""

from __future__ import annotations

from msgspec import Struct

from pool.cli.top.snapshot import Snapshot


class Frame(Struct, frozen=True):
    """A snapshot, and how it was come by.

    `source` is where it is from. `problem` is why there is no newer one, and `old`
    how many seconds it is old then. `progress` is what somebody who runs the pool
    wants to say besides.
    """

    source: str
    snapshot: Snapshot | None = None
    problem: str | None = None
    old: float = 0.0
    progress: str | None = None
