"""The page of a profile in a browser: on a telephone, on a screen, on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pool.profile import as_html
from pool.profile.formats.plots import PLOTS
from tests.system.browser import Browser, browser
from tests.unit.profiles import MB, book, call, open_fonts, report, sample, start

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module", autouse=True)
def _fonts() -> None:
    open_fonts()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile with everything: long names, many commands, findings, a leak."""
    told = book(keep=50)
    told.hear([start(f"a-pool-with-a-long-name-{n}", 2.5, 1.0 + n) for n in range(12)])
    for at in range(60):
        told.lagged(0.002 * (at % 7))
        sample(told, float(at), 50 * MB + at * MB, calls=at * 20, cpu=0.7 * at)
    for n in range(15):
        names = {"retrieve": 0.004, "generate an answer from what was retrieved": 0.01 * n}
        name = f"a_command_with_quite_a_long_name_{n}"
        told.hear([call(name, 0.005 * (n + 1), compute=0.004 * (n + 1), phases=names)] * 30)
    file = tmp_path_factory.mktemp("page") / "profile.html"
    file.write_text(as_html(report(told)))
    return file


@pytest.fixture
def shown(page: Path, tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path) as shown:
        shown.show(1280)
        shown.open(page)
        yield shown


def test_it_loads_without_a_complaint_and_asks_nobody(shown: Browser, page: Path) -> None:
    assert shown.requests() == [page.as_uri()]
    assert shown.complaints() == []
    assert shown.evaluate("document.scripts.length") == 0
    title = shown.evaluate("document.title")
    assert title == "Profile of p"


def test_it_has_its_plots_and_they_are_seen(shown: Browser) -> None:
    assert shown.evaluate("document.querySelectorAll('figure svg').length") == len(PLOTS)
    sizes = shown.evaluate(
        "[...document.querySelectorAll('figure svg')].map(e => {"
        " const r = e.getBoundingClientRect(); return [r.width, r.height] })"
    )
    assert all(width > 300 and height > 80 for width, height in sizes), sizes
    kinds = shown.evaluate("[...document.querySelectorAll('article h3')].map(e => e.innerText)")
    assert kinds == ["Leak: workers", "Start: workers"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_does_not_scroll_sideways(shown: Browser, width: int, scheme: str) -> None:
    shown.show(width, scheme)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.evaluate("innerWidth") == width


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_its_colours_are_those_of_the_scheme(shown: Browser, scheme: str, is_dark: bool) -> None:
    shown.show(390, scheme)
    for what in ("getComputedStyle(document.body).backgroundColor", _INK):
        colour = shown.evaluate(what)
        bright = sum(int(part) for part in colour.strip("rgb()").split(",")[:3]) > 382
        assert bright is (is_dark if what == _INK else not is_dark), (what, colour)


_INK = (
    "getComputedStyle([...document.querySelectorAll('figure svg text')]"
    ".find(e => e.textContent == 'P50')).fill"
)


def test_letters_of_plots_can_be_read_on_a_telephone(shown: Browser) -> None:
    shown.show(390)
    heights = shown.evaluate(
        "[...document.querySelectorAll('figure svg text')]"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert min(heights) >= 9, min(heights)


def test_it_prints(shown: Browser) -> None:
    pdf = shown.pdf()
    assert pdf.startswith(b"%PDF-")
    assert len(pdf) > 20_000
