"""Frames, on screens of several sizes."""

from __future__ import annotations

import io
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from pool.cli.top.frame import Frame
from pool.cli.top.reading import Metrics
from pool.cli.top.render import View
from pool.cli.top.snapshot import Snapshot
from pool.lifecycle import PoolState
from tests.unit.readings import durations, last, reading, worker

WORKERS = tuple(
    worker(slot, state=state, calls=1000 + slot)
    for slot, state in enumerate(["busy", "busy", "idle", "starting", "abandoned", "stopping"])
)
COUNTS = dict.fromkeys(["idle", "starting", "abandoned", "stopping"], 1)


def busy(**known: Any) -> Snapshot:
    """A pool with something of everything."""
    metrics = [
        Metrics(
            oldest=0.35,
            utilization=0.625,
            resident={0: 45e6},
            cpu={0: at * 0.5},
            ended={("ask", "ok"): at * 900.0, ("ask", "error"): at * 3.0},
            durations=durations(at * 100, at * 900, at * 903, at * 903),
            waits=durations(at * 100, at * 900, at * 903, at * 903)["ask"],
            lags=durations(at * 100, at * 100, at * 100, at * 100)["ask"],
        )
        for at in range(6)
    ]
    pools: dict[str, Any] = {
        **COUNTS,
        "size": 4,
        "overflow": 2,
        "total": 6,
        "busy": 2,
        "waiting": 12,
        "inflight_calls": 3,
        "worker_starts": 9,
        "failed_starts": 1,
        "replacements": 2,
        "retries": 4,
        "workers": WORKERS,
        "circuits": {"ask": "open"},
        **known,
    }
    counted = [
        {
            "calls": {"ok": at * 900, "error": at * 3},
            "checkouts": {"ok": at * 901, "shed": at},
            "worker_exits": {"signal": at, "recycled_calls": 7},
        }
        for at in range(6)
    ]
    return last(*(reading(float(at), metrics[at], **counted[at], **pools) for at in range(6)))


def drawn(frame: Frame, width: int, height: int | None = None, **console: Any) -> list[str]:
    """The lines of a frame, without what only moves to the end of the screen."""
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, **console).print(View(frame, height))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def text(frame: Frame, width: int = 80) -> str:
    return "\n".join(drawn(frame, width))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_too_long_and_the_essentials_are_there(width: int) -> None:
    lines = drawn(Frame("127.0.0.1:9464", busy()), width)
    assert max(map(cell_len, lines)) <= width
    words = " ".join("\n".join(lines).split())
    for essential in (
        *("echo open", "6 of 4+2", "2 busy", "1 idle", "12 waiting", "oldest 350 ms"),
        *("ok 900/s", "error 3.0/s (15 in all)", "shed 1.0/s (5 in all)", "signal 5 (+5)"),
        *("2 lost in service", "ask open", "max 903", "w-0"),
    ):
        assert essential in words


def test_at_80_columns_it_is_all_there() -> None:
    lines = drawn(Frame("127.0.0.1:9464", busy()), 80)
    assert lines[0].split() == [
        *("echo", "open", "spawn,", "generation", "0"),
        *("127.0.0.1:9464,", "rates", "over", "5", "s"),
    ]
    titles = [line.split() for line in lines if line.startswith(("command", "worker "))]
    assert titles == [
        ["command", "calls/s", "not", "ok/s", "p50", "p95", "p99"],
        ["worker", "pid", "state", "calls", "calls/s", "age", "memory", "cpu"],
    ]
    rows = [line.split() for line in lines if line.startswith(("ask", "w-"))]
    assert rows[0] == ["ask", "903", "3.0", *("49.5", "ms", "95.3", "ms", "99.3", "ms")]
    assert rows[1] == ["w-0", "1000", "busy", "1,000", "0", "9", "s", "45", "MB", "50%"]
    assert rows[2] == ["w-1", "1001", "busy", "1,001", "0", "9", "s", "-", "-"]


def test_a_narrow_screen_has_fewer_columns() -> None:
    (workers,) = (line for line in drawn(Frame("h", busy()), 60) if line.startswith("worker "))
    assert workers.split() == ["worker", "state", "calls/s", "age", "memory", "cpu"]
    (workers,) = (line for line in drawn(Frame("h", busy()), 40) if line.startswith("worker "))
    assert workers.split() == ["worker", "state", "calls/s"]


@pytest.mark.parametrize("height", [24, 30, 50])
def test_a_frame_fits_its_screen_and_says_what_is_left_out(height: int) -> None:
    many = tuple(worker(slot) for slot in range(60))
    lines = drawn(Frame("h", busy(workers=many)), 80, height)
    assert len(lines) == height
    shown = sum(line.startswith("w-") for line in lines)
    assert lines[-1] == f"and {60 - shown} more: {60 - shown} idle"
    assert shown >= 3


def test_without_a_height_every_worker_is_there() -> None:
    many = tuple(worker(slot) for slot in range(60))
    lines = drawn(Frame("h", busy(workers=many)), 80)
    assert sum(line.startswith("w-") for line in lines) == 60


def test_an_empty_pool() -> None:
    shown = text(Frame("h", last(reading(1.0, size=2))))
    assert "workers    0 of 2" in shown
    assert "0 waiting" in shown
    assert "calls      none" in shown
    assert "command" not in shown
    assert "exits" not in shown


def test_a_pool_that_failed_says_what_that_means() -> None:
    metrics = Metrics(backoff=3.25)
    failed = last(
        reading(1.0, metrics, state=PoolState.FAILED, failed_starts=5, restarts_in_window=5)
    )
    shown = text(Frame("h", failed), 120)
    assert "echo  failed" in shown
    assert "work is refused until one starts" in shown
    assert "5 failed, 5 failed lately, the next in 3.25 s (back-off)" in shown


def test_figures_that_are_old_say_so() -> None:
    shown = text(Frame("127.0.0.1:9", busy(), "Connection refused", 13.4))
    assert "NO ANSWER: Connection refused; these figures are 13 s old" in shown
    assert "12 waiting" in shown
    colours = drawn(Frame("h", busy(), "refused", 13.4), 80, force_terminal=True)
    # Everything but the title is faint then.
    assert all("\x1b[2" in line or ";2" in line or "NO ANSWER" in line for line in colours if line)


def test_without_any_answer_there_is_only_why() -> None:
    assert drawn(Frame("127.0.0.1:9", None, "Connection refused"), 80) == [
        "no figures yet" + " " * 55 + "127.0.0.1:9",
        "NO ANSWER: Connection refused",
    ]


def test_what_is_lacking_is_said() -> None:
    some = reading(1.0)
    without = last(type(some)(1.0, some.stats, Metrics(), "/metrics was answered with status 404"))
    assert "only /stats" in (shown := text(Frame("h", without), 120))
    assert "/metrics was answered with status 404" in shown


def test_what_others_named_is_shown_as_it_is_and_does_no_harm() -> None:
    hostile = "[bold red]x[/]\x1b[2J\n\u202ey"
    metrics = [Metrics(ended={(hostile, hostile): at}) for at in (0.0, 9.0)]
    snapshot = last(
        *(
            reading(
                float(at),
                metrics[at],
                name=hostile,
                start_method=hostile,
                calls={hostile: at},
                checkouts={hostile: at},
                worker_exits={hostile: at},
                circuits={hostile: hostile},
                workers=(worker(0, name=hostile, state=hostile),),
            )
            for at in (0, 1)
        )
    )
    shown = text(Frame(hostile, snapshot, progress=None), 120)
    assert shown.count("[bold red]x[/]?[2J??y") == 11
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_states_are_told_by_words_and_colours_only_where_they_are() -> None:
    coloured = drawn(Frame("h", busy()), 80, force_terminal=True, color_system="standard")
    assert any("\x1b[32mbusy" in line for line in coloured)
    plain = drawn(Frame("h", busy()), 80, force_terminal=True, no_color=True)
    assert not any("\x1b[3" in line for line in plain)
    assert any("busy" in line for line in plain)


def test_a_terminal_without_unicode_gets_none() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=file, width=80).print(View(Frame("h", busy())))
    file.flush()


_figures = st.one_of(st.none(), st.floats(), st.sampled_from([inf, -inf, nan]))
_known = st.dictionaries(st.integers(0, 3), st.floats(), max_size=3)


@settings(max_examples=60)
@given(
    *(_figures, _figures, _known, _known),
    st.lists(st.floats(), min_size=4, max_size=4),
    st.dictionaries(st.tuples(st.text(max_size=5), st.text(max_size=5)), st.floats(), max_size=4),
    *(st.text(max_size=80), st.integers(10, 130), st.one_of(st.none(), st.integers(1, 40))),
)
def test_no_figures_break_a_frame(
    oldest: float | None,
    backoff: float | None,
    resident: dict[int, float],
    cpu: dict[int, float],
    counts: list[float],
    ended: dict[tuple[str, str], float],
    name: str,
    width: int,
    height: int | None,
) -> None:
    some = durations(*counts)
    metrics = Metrics(
        oldest=oldest,
        utilization=oldest,
        backoff=backoff,
        resident=resident,
        cpu=cpu,
        ended=ended,
        durations=some,
        waits=some["ask"],
        lags=some["ask"],
    )
    workers = tuple(worker(slot, name=name, age=counts[0]) for slot in range(3))
    snapshot = last(
        reading(0.0, waiting=1), reading(1.0, metrics, name=name, waiting=2, workers=workers)
    )
    lines = drawn(Frame(name, snapshot, name, 1.0), width, height)
    assert max(map(cell_len, lines)) <= width
