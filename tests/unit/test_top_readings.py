"""The live view's figures: what has changed between readings."""

from __future__ import annotations

import pytest

from pool.cli.stress.measured import Samples
from pool.cli.top.command import Screen
from pool.cli.top.histogram import Histogram
from pool.cli.top.nearby import Folded
from pool.cli.top.reading import Metrics
from pool.cli.top.snapshot import HISTORY, WINDOW, Readings
from tests.unit.readings import BOUNDS, durations, last, reading, worker


def test_one_reading_has_no_rates() -> None:
    shown = last(reading(7.0, calls={"ok": 100}, worker_exits={"signal": 3}))
    assert (shown.window, shown.calls, shown.exits, shown.throughput) == (0.0, {}, {}, ())
    assert shown.queue == (0,)


def test_a_rate_is_a_difference_by_the_time_it_took() -> None:
    shown = last(
        reading(1.0, calls={"ok": 100}, checkouts={"ok": 100}, worker_exits={"signal": 3}),
        reading(3.0, calls={"ok": 150, "error": 4}, checkouts={"ok": 160}, worker_exits={}),
    )
    # The exits have fallen: these are two pools.
    assert (shown.window, shown.calls) == (0.0, {})
    shown = last(
        reading(1.0, calls={"ok": 100}, checkouts={"ok": 100}, worker_exits={"signal": 3}),
        reading(
            3.0, calls={"ok": 150, "error": 4}, checkouts={"ok": 160}, worker_exits={"signal": 5}
        ),
    )
    assert shown.window == 2.0
    assert shown.calls == {"ok": 25.0, "error": 2.0}
    assert shown.checkouts == {"ok": 30.0}
    assert shown.exits == {"signal": 2}
    assert shown.throughput == (27.0,)


def test_rates_are_of_the_window_and_history_is_of_each_reading() -> None:
    totals = [0, 10, 30, 60, 100, 150, 210, 280]
    shown = last(*(reading(float(at), calls={"ok": total}) for at, total in enumerate(totals)))
    assert shown.window == WINDOW == 5.0
    assert shown.calls == {"ok": (280 - 30) / 5}
    assert shown.throughput == (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0)


def test_after_a_gap_the_rate_is_that_of_the_gap() -> None:
    shown = last(reading(0.0, calls={"ok": 0}), reading(60.0, calls={"ok": 30}))
    assert (shown.window, shown.calls) == (60.0, {"ok": 0.5})


@pytest.mark.parametrize(
    "lower",
    [
        {"calls": {"ok": 5}},
        {"checkouts": {"ok": 5}},
        {"worker_starts": 1},
        {"worker_exits": {}},
        {"metrics": Metrics(ended={("ask", "ok"): 5.0})},
        {"metrics": Metrics(durations=durations(1, 1, 1, 5))},
    ],
    ids=["calls", "checkouts", "starts", "exits", "calls of a command", "durations"],
)
def test_a_count_that_fell_is_of_a_pool_that_was_opened_anew(lower: dict[str, object]) -> None:
    known = {
        "calls": {"ok": 9},
        "checkouts": {"ok": 9},
        "worker_starts": 9,
        "worker_exits": {"signal": 9},
        "metrics": Metrics(ended={("ask", "ok"): 9.0}, durations=durations(9, 9, 9, 9)),
    }
    readings = Readings()
    readings.add(reading(1.0, **known))  # type: ignore[arg-type]
    assert readings.add(reading(2.0, **known)).window == 1.0  # type: ignore[arg-type]
    anew = readings.add(reading(3.0, **{**known, **lower}))  # type: ignore[arg-type]
    assert (anew.window, anew.calls, anew.commands) == (0.0, {}, ())
    after = readings.add(reading(4.0, **{**known, **lower}))  # type: ignore[arg-type]
    assert after.window == 1.0


def test_metrics_that_could_not_be_had_once_are_no_restart() -> None:
    some = Metrics(ended={("ask", "ok"): 9.0}, durations=durations(9, 9, 9, 9))
    assert last(reading(1.0, some), reading(2.0), reading(3.0, some)).window == 2.0


def test_what_is_counted_from_now_on_and_what_differs_in_size_is_no_restart() -> None:
    few, many = Histogram(BOUNDS, (1, 1, 1, 1)), Histogram(BOUNDS, (9, 9, 9, 9))
    before = Metrics(durations={"few": few, "many": many})
    after = Metrics(durations=before.durations, ended={("few", "error"): 0.0})
    assert last(reading(1.0, before), reading(2.0, after)).window == 1.0


def test_the_history_is_bounded() -> None:
    shown = last(*(reading(float(at), waiting=at) for at in range(HISTORY + 50)))
    assert len(shown.throughput) == len(shown.queue) == HISTORY
    assert shown.queue[-1] == HISTORY + 49


def test_commands_have_rates_and_percentiles_of_the_window() -> None:
    before = Metrics(
        ended={("ask", "ok"): 100.0, ("ask", "error"): 1.0, ("other", "ok"): 7.0},
        durations=durations(100, 100, 100, 101),
    )
    after = Metrics(
        ended={
            ("ask", "ok"): 120.0,
            ("ask", "error"): 5.0,
            ("new", "ok"): 50.0,
            ("other", "ok"): 7.0,
        },
        durations=durations(100, 110, 124, 125),
    )
    shown = last(reading(0.0, before), reading(2.0, after))
    # The most called first; one that was not called is not there.
    assert [(each.name, each.rate, each.failing) for each in shown.commands] == [
        ("new", 25.0, 0.0),
        ("ask", 12.0, 2.0),
    ]
    ask = shown.commands[1]
    # Ten of 24 up to 0.1 s, 14 more up to 1 s.
    assert ask.p50 == pytest.approx(0.1 + 0.9 * 2 / 14)
    assert ask.p99 == pytest.approx(0.1 + 0.9 * 13.76 / 14)
    assert shown.commands[0].p50 is None


def test_checkouts_wait_as_the_histogram_says() -> None:
    before, after = Histogram(BOUNDS, (5, 5, 5, 5)), Histogram(BOUNDS, (5, 15, 15, 15))
    shown = last(reading(0.0, Metrics(waits=before)), reading(2.0, Metrics(waits=after)))
    assert shown.wait is not None
    assert (shown.wait.rate, shown.wait.p50) == pytest.approx((5.0, 0.055))


def test_workers_are_in_the_order_of_their_slots_with_what_they_use() -> None:
    slots = (worker(1, calls=10), worker(0, calls=10))
    before = reading(0.0, Metrics(cpu={0: 1.0, 1: 2.0}), workers=slots)
    busier = (worker(1, calls=14), worker(0, calls=30))
    metrics = Metrics(cpu={0: 1.5, 1: 4.0}, resident={1: 5e7})
    rows = last(before, reading(2.0, metrics, workers=busier)).workers
    assert [row.stats.name for row in rows] == ["w-0", "w-1"]
    assert [row.rate for row in rows] == [10.0, 2.0]
    assert [row.cpu for row in rows] == [0.25, 1.0]
    assert [row.resident for row in rows] == [None, 5e7]


def test_a_new_worker_is_not_compared_with_who_had_its_slot() -> None:
    before = reading(0.0, Metrics(cpu={0: 1.0}), workers=(worker(0, calls=100),))
    new = reading(1.0, Metrics(cpu={0: 1.1}), workers=(worker(0, name="w-9", calls=5),))
    row = last(before, new).workers[0]
    assert (row.rate, row.cpu) == (None, None)
    later = reading(2.0, Metrics(cpu={0: 1.6}), workers=(worker(0, name="w-9", calls=7),))
    row = last(before, new, later).workers[0]
    assert (row.rate, row.cpu) == pytest.approx((2.0, 0.5))


def test_a_series_is_folded_with_the_weight_of_what_came() -> None:
    samples = Samples([0.05] * 10)
    folded = Folded(samples)
    assert folded.fold().total == 10
    for _ in range(5_000):  # of which a series remembers the last thousand
        samples.add(0.2)
    histogram = folded.fold()
    assert histogram.total == pytest.approx(5_010)
    assert folded.fold() == histogram
    assert histogram.quantile(0.5) == pytest.approx(0.2, rel=0.13)


def test_figures_stay_and_grow_old_while_there_is_no_answer() -> None:
    screen = Screen("here", 0.0, patience=10.0)
    nothing = screen.frame(None, 1.0)
    assert (nothing.snapshot, nothing.problem) == (None, None)
    fresh = screen.frame(reading(2.0), 2.0)
    assert (fresh.problem, fresh.old) == (None, 0.0)
    gone = screen.frame(ConnectionError("refused"), 5.0)
    assert (gone.snapshot, gone.problem, gone.old) == (fresh.snapshot, "refused", 3.0)
    still = screen.frame(None, 6.0)
    assert (still.snapshot, still.problem, still.old) == (fresh.snapshot, "refused", 4.0)
    again = screen.frame(reading(7.0), 7.0)
    assert (again.problem, again.old) == (None, 0.0)


def test_a_look_that_hangs_is_a_problem_too() -> None:
    screen = Screen("here", 0.0, patience=10.0)
    screen.frame(reading(2.0), 2.0)
    assert screen.frame(None, 12.0).problem is None
    late = screen.frame(None, 12.1)
    assert late.problem == "it takes too long"
    assert late.old == pytest.approx(10.1)
    assert screen.frame(reading(13.0), 13.0).problem is None
