"""A report as one HTML page, which needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from pool.profile.formats import sections
from pool.profile.report import Report
from pool.profile.units import duration

SHOWN = 20
"""Calls in a table of the page; the JSON has all that were kept."""


def as_html(report: Report) -> str:
    """The page: findings first, then plots and tables. It has no script and asks for nothing.

    Raises `ImportError` without the extra "profile", which has what draws the plots.
    """
    style = files(__package__).joinpath("page.css").read_text()
    name = sections.text(report.pool)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
        '<link rel="icon" href="data:,">\n'
        f"<title>Profile of {name}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(_body(report, name))
        + "\n</body>\n</html>\n"
    )


def _body(report: Report, name: str) -> Iterator[str]:
    began = sections.text(report.began.replace("T", " ").replace("+00:00", " UTC"))
    yield (
        f"<header><h1>Profile of {name}</h1>"
        f'<p class="soft">{duration(report.seconds)} from {began}</p></header>'
    )
    yield sections.facts(report)
    yield f"<main><section><h2>Findings</h2>{sections.findings(report)}</section>"
    yield f'<section><h2>Plots</h2><div class="plots">{"".join(_plots(report))}</div></section>'
    for title, content in _tables(report):
        yield f"<section><h2>{title}</h2>{content}</section>"
    yield "</main>"
    yield (
        '<footer class="soft"><p>Percentiles are within 1 % of their value. Times are of the '
        "pool's clock; instants count from the begin of the profile.</p></footer>"
    )


def _plots(report: Report) -> Iterator[str]:
    from pool.profile.formats.plots import PLOTS  # takes a while to import

    for plot in PLOTS:
        if plot.is_there(report):
            yield (
                f"<figure><h3>{plot.title}</h3>{plot.svg(report)}"
                f"<figcaption>{plot.caption}</figcaption></figure>"
            )


def _tables(report: Report) -> Iterator[tuple[str, str]]:
    if report.commands:
        yield "Commands", sections.commands(report)
        yield "Phases of the calls", sections.phases(report)
    if report.timeouts():
        why = "<p>Twice the 95th percentile of what each command took.</p>"
        yield "Timeouts that would suit", why + sections.timeouts(report)
    if report.workers:
        yield "Workers", sections.workers(report)
    if report.slowest:
        yield "Slowest calls", sections.calls(report.slowest[:SHOWN])
        yield "Last calls", sections.calls(report.last[:SHOWN])
