"""What the processes of workers use."""

from __future__ import annotations

import os

from pool.telemetry.processes import Seats, usage_of


def test_processor_time_never_goes_down() -> None:
    seats = Seats()
    seats.see(0, "p-1", 1.0)
    seats.see(0, "p-1", 3.0)
    assert seats.totals() == {0: 3.0}
    seats.see(0, "p-2", 0.5)
    assert seats.totals() == {0: 3.5}
    seats.see(0, "p-2", 0.25)  # a clock that was set back
    seats.see(1, "p-3", 2.0)
    assert seats.totals() == {0: 3.5, 1: 2.0}
    seats.see(0, "p-4", 0.0)
    assert seats.totals()[0] == 3.5


def test_of_this_process() -> None:
    usage = usage_of(os.getpid())
    assert usage is not None
    assert usage.resident > 1_000_000
    times = os.times()
    assert abs(usage.cpu - (times.user + times.system)) < 1.0


def test_of_a_process_that_is_gone() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    assert usage_of(child) is None
