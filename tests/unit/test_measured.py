"""Series of bounded size, and capacity over time."""

from __future__ import annotations

from collections import Counter

import pytest

from pool.cli.stress import measured
from pool.cli.stress.measured import MAX_NAMES, Availability, Samples, count_error


def test_a_series_keeps_every_value_up_to_its_bound() -> None:
    series = Samples([3.0, 1.0, 2.0])
    assert (list(series.kept), series.count, series.max) == ([3.0, 1.0, 2.0], 3, 3.0)


def test_beyond_it_a_uniform_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "KEPT", 1000)
    series = Samples(map(float, range(20_000)))
    assert (len(series.kept), series.count, series.max) == (1000, 20_000, 19_999.0)
    # The mean of 1,000 of them is off by 3 % of the range in one of a thousand cases.
    assert sum(series.kept) / 1000 == pytest.approx(10_000, abs=600)
    assert len(set(series.kept)) == 1000


def test_capacity_is_weighted_by_time_from_the_first_worker_on() -> None:
    available = Availability(4)
    for now, serving in [(0, 0), (5, 1), (10, 4), (11, 4), (13, 2)]:
        available.see(now, serving)
    assert available.mean == (5 * 4 + 1 * 4 + 2 * 2) / 4 / 8


def test_workers_above_size_make_up_for_none_that_were_missing() -> None:
    available = Availability(4)
    for now, serving in [(0, 6), (1, 6), (2, 3)]:
        available.see(now, serving)
    assert available.mean == (1 + 0.75) / 2


def test_where_no_worker_ever_served_there_is_no_share() -> None:
    available = Availability(4)
    available.see(0, 0)
    available.see(9, 0)
    assert available.mean is None


def test_names_that_a_bridge_makes_up_are_bounded() -> None:
    counts: Counter[str] = Counter(ok=3)
    for number in range(10_000):
        count_error(counts, "RemoteError", f"made up {number}")
    count_error(counts, "RemoteError", "made up 0")
    count_error(counts, "CallTimeout")
    assert len(counts) == MAX_NAMES + 2
    assert (counts["RemoteError:made up 0"], counts["CallTimeout"], counts["ok"]) == (2, 1, 3)
    assert counts.total() == 10_005


def test_a_name_cannot_steer_a_terminal() -> None:
    counts: Counter[str] = Counter()
    count_error(counts, "RemoteError", "a\x1b[2J\nb")
    assert [*counts] == ["RemoteError:a?[2J?b"]
