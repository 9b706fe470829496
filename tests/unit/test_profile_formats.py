"""A report as text, CSV, JSON and a page, whatever is in it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from pool.profile import Report, as_calls, as_csv, as_html, as_json, as_line, as_text, compare
from pool.profile import from_json as read
from pool.profile.formats import FORMATS
from pool.profile.formats.table import COLUMNS
from pool.profile.formats.text import comparison_text
from pool.profile.trend import FEWEST
from tests.unit.profiles import MB, book, call, open_fonts, report, report_of, sample, start


@pytest.fixture(scope="module", autouse=True)
def _fonts() -> None:
    open_fonts()


HOSTILE = "<script>alert(1)</script>\x1b[31m\n$x^2$ & \u202e \"'"


def full() -> Report:
    told = book()
    told.hear([start(ready=2.5)])
    for at in range(30):
        told.lagged(0.001 * at)
        sample(told, float(at), 50 * MB + at * MB, calls=at, cpu=0.5 * at)
    told.hear([call(seconds=0.02, compute=0.01, waited=0.001, phases={"retrieve": 0.004})] * 30)
    told.hear([call("other", seconds=0.5, outcome="error")] * 3)
    return report(told)


def hostile() -> Report:
    told = book()
    told.hear([start(HOSTILE), *[call(HOSTILE, worker=HOSTILE, phases={HOSTILE: 2.0})] * 30])
    sample(told, 1.0, MB)
    return told.report(20.0, HOSTILE, HOSTILE)


def empty() -> Report:
    return report(book())


@pytest.mark.parametrize("made", [full, hostile, empty])
@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_of_each_report(made: Callable[[], Report], format_: str) -> None:
    shown = FORMATS[format_](made())
    assert shown
    assert "\x1b" not in shown


def test_json_is_read_as_it_was_written() -> None:
    for made in (full(), hostile(), empty()):
        assert read(as_json(made).encode()) == made


def test_json_of_another_version_or_something_else_is_refused() -> None:
    other = as_json(full()).replace('"version":1', '"version":2').encode()
    with pytest.raises(ValueError, match="version 2"):
        read(other)
    for text in (b"", b"{}", b"[1]", b'{"version":1}'):
        with pytest.raises(ValueError, match=r"."):
            read(text)


def test_text_has_findings_first() -> None:
    text = as_text(full())
    lines = text.splitlines()
    assert lines[0] == "p: 33 calls of 2 commands in 20 s (2/s), 90.9% successful"
    assert lines[2] == "CRITICAL  leak, workers"
    assert "HIGH  start, workers" in lines
    assert re.search(r"^work +30 +100% +20 ms", text, re.MULTILINE)
    assert re.search(r"^work +retrieve +120 ms +", text, re.MULTILINE)
    assert max(map(len, lines)) <= 120


def test_one_line() -> None:
    assert as_line(full()).endswith("2 findings, the worst: critical, leak of workers")
    assert as_line(empty()).endswith("; no findings")
    assert "\n" not in as_line(hostile())


def test_a_time_that_is_too_short_to_see_growth() -> None:
    told = book()
    told.hear([call()])
    for at in range(FEWEST - 1):
        sample(told, float(at), 50 * MB)
    brief = report(told)
    assert "0 of 1 grow, 1 seen too shortly to tell" in as_text(brief)
    assert "cannot be told of so short a time" in as_html(brief)
    sample(told, float(FEWEST), 50 * MB)
    assert as_text(report(told)).endswith("0 of 1 grow")
    assert "start quickly and do not grow: all is within" in as_html(report(told))


def test_csv_has_a_row_for_each_phase() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(full()))))
    assert tuple(rows[0]) == COLUMNS
    work = {row["phase"]: row for row in rows if row["command"] == "work"}
    assert set(work) == {"queue wait", "transport", "compute", "call", "phase:retrieve"}
    assert float(work["compute"]["mean_s"]) == pytest.approx(0.01)
    assert work["call"]["calls"] == "30"


def test_csv_holds_no_formula() -> None:
    (row, *_) = csv.DictReader(io.StringIO(as_csv(report_of(call("=1+1")))))
    assert row["command"] == "'=1+1"


def test_calls_one_by_one() -> None:
    lines = as_calls(full()).splitlines()
    assert lines[0] == "slowest calls"
    assert lines[2].split()[:3] == ["other", "w-1", "error"]
    assert "retrieve 4 ms" in as_calls(full())


class Page(HTMLParser):
    """What a page refers to, and that its elements are closed."""

    VOID = ("meta", "link", "path", "use", "rect")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.refers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href"):
                self.refers.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("made", [full, hostile, empty])
def test_the_page_stands_alone(made: Callable[[], Report]) -> None:
    text = as_html(made())
    page = Page()
    page.feed(text)
    assert not page.open
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    inner = {f"#{name}" for name in page.ids} | {"data:,"}
    assert set(page.refers) <= inner
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= inner
    assert "#00fe" not in text
    assert "@import" not in text


def test_the_page_has_a_plot_of_each_kind() -> None:
    text = as_html(full())
    assert text.count("<svg") == 6
    assert text.index("Findings") < text.index("<svg")
    assert as_html(empty()).count("<svg") == 0


def test_the_page_shows_what_is_hostile_as_text() -> None:
    assert "&lt;script&gt;alert(1)" in as_html(hostile())


# Two reports


def test_what_has_changed() -> None:
    old = report_of(*[call(seconds=0.1)] * 20, *[call("gone")] * 5, *[call("same")] * 5)
    new = report_of(*[call(seconds=1.3)] * 20, *[call("new")] * 5, *[call("same")] * 5)
    found = compare(old, new)
    assert (found.gone, found.new) == (("gone",), ("new",))
    assert found.findings_new == ("slow of work",)
    assert found.is_worse
    slower = {(c.subject, c.measure) for c in found.changes if c.better is False}
    assert slower == {("work", "call P50"), ("work", "call P95"), ("work", "call P99")}
    text = comparison_text(found)
    assert "work  call P95  100 ms to 1.3 s (+1200%)" in text.replace("101 ms", "100 ms")
    back = compare(new, old)
    assert not back.is_worse
    assert back.findings_gone == ("slow of work",)
    assert comparison_text(back).startswith("Better\n")
