"""Processor time by seat."""

from __future__ import annotations

from pool.telemetry.processes import Seats


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
