"""The stress command's report: one set of figures as text, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from pool.cli.stress.conservation import differences
from pool.cli.stress.measured import Footprint, Run, Samples

_PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}
_COUNTED_BY_KIND = ("errors", "causes", "faults", "victims_ended")

SHOWN = 5
"""Errors of which the text says what the first of them said: those that came most often."""


def figures(run: Run) -> dict[str, Any]:
    """Everything the report says. Workers are counted as of the moment before the pool closed."""
    measured, stats = run.measured, run.loaded
    unaccounted = differences(run)
    return {
        "offered": measured.offered,
        "operations": measured.ended,
        "successful": measured.successful,
        "failed": measured.failed,
        "errors": dict(measured.errors),
        "causes": dict(measured.causes),
        "shed": measured.shed,
        "ended_by": None if run.ended_by is None else run.ended_by.name,
        "success_rate": _share(measured.successful, measured.ended),
        "offered_per_s": _share(measured.offered, measured.offering),
        "throughput_per_s": _share(measured.successful, measured.wall),
        "wall_s": measured.wall,
        "latency_ms": milliseconds(measured.latencies),
        "refusal_ms": milliseconds(measured.refusals),
        "start_lag_ms": milliseconds(measured.lags),
        "queue_wait_ms": milliseconds(measured.waits),
        "worker_starts": stats.worker_starts,
        "worker_exits": sum(stats.worker_exits.values()),
        "first_result_s": measured.first_result,
        "failed_starts": stats.failed_starts,
        "replacements": stats.replacements,
        "available": run.available,
        "faults": dict(run.toll.struck),
        "victims_ended": dict(run.toll.ended),
        "kills": run.toll.struck["kill"],
        "size_regained": run.toll.regains.count,
        "regain_ms": milliseconds(run.toll.regains),
        "retries": measured.retries + stats.retries,
        "late_replies": stats.late_replies,
        **_growth(run.before, run.after),
        "conserved": not unaccounted,
        "differences": unaccounted,
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _growth(before: Footprint, after: Footprint) -> dict[str, dict[str, float]]:
    """Each thing that the parent held, before the pool was opened and after it was closed."""
    starts, ends = asdict(before), asdict(after)
    return {name: {"start": starts[name], "end": ends[name]} for name in starts}


def milliseconds(seconds: Samples) -> dict[str, float | None]:
    """Percentiles, interpolated, and the maximum; None of nothing."""
    kept = seconds.kept
    if not kept:
        return dict.fromkeys([*_PERCENTILES, "max"])
    cuts = [kept[0]] * 99
    if len(kept) > 1:
        cuts = statistics.quantiles(kept, n=100, method="inclusive")
    values = {name: cuts[percent - 1] for name, percent in _PERCENTILES.items()}
    values["max"] = seconds.max
    return {name: round(value * 1000, 3) for name, value in values.items()}


def as_json(report: dict[str, Any]) -> str:
    return json.dumps(report)


def as_csv(report: dict[str, Any]) -> str:
    """A line of names and a line of values.

    Percentiles get columns of their own; what is counted by kind is one column.
    """
    flat: dict[str, Any] = {}
    for name, value in report.items():
        if name in _COUNTED_BY_KIND:
            flat[name] = ";".join(f"{kind}={count}" for kind, count in value.items())
        elif isinstance(value, dict):
            flat.update({f"{name}_{key}": number for key, number in value.items()})
        else:
            flat[name] = ";".join(value) if isinstance(value, list) else value
    text = io.StringIO()
    writer = csv.DictWriter(text, flat, lineterminator="\n")
    writer.writeheader()
    writer.writerow(flat)
    return text.getvalue().rstrip("\n")


def as_text(report: dict[str, Any]) -> str:
    """The report for people."""
    return "\n".join(f"{name:<12}  {value}" for name, value in _lines(report))


def _lines(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _operations(report)
    yield from _times(report)
    yield from _workers(report)
    yield from _chaos(report)
    yield from _remainder(report)


def _operations(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    outcomes = (
        f"{report['successful']} successful, {report['failed']} failed, {report['shed']} shed"
    )
    yield "operations", f"{report['operations']}: {outcomes} ({report['success_rate']:.1%})"
    if report["ended_by"]:
        yield "ended by", f"{report['ended_by']}, before the load was done"
    errors = report["errors"]
    yield "errors", _counts(errors) or "none"
    for name in sorted(errors, key=errors.get, reverse=True)[:SHOWN]:
        cause = report["causes"].get(name)
        if cause:
            yield "", cause if len(errors) == 1 else f"{name}: {cause}"
    offered = f", {report['offered_per_s']:.1f} offered" if _has(report["start_lag_ms"]) else ""
    done = f"{report['throughput_per_s']:.1f} operations/s in {report['wall_s']:.2f} s"
    yield "throughput", done + offered


def _times(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    first = report["first_result_s"]
    yield "first result", "none" if first is None else f"after {first:.2f} s"
    yield "latency", _row(report["latency_ms"])
    optional = (("refusal", "refusal_ms"), ("start lag", "start_lag_ms"))
    for name, key in (*optional, ("queue wait", "queue_wait_ms")):
        if _has(report[key]):
            yield name, _row(report[key])


def _workers(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield (
        "workers",
        f"{report['worker_starts']} started ({report['failed_starts']} failed), "
        f"{report['worker_exits']} exited, {report['replacements']} lost and replaced",
    )
    share = report["available"]
    if share is not None:
        yield "available", f"{share:.2%} of the size on average, from the first worker on"
    if report["retries"] or report["late_replies"]:
        yield "beside", f"{report['retries']} retries, {report['late_replies']} late replies"


def _chaos(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if report["faults"]:
        ended = _counts(report["victims_ended"]) or "none"
        yield "faults", f"{_counts(report['faults'])}; ended of it: {ended}"
    if report["kills"]:
        yield "kills", f"{report['kills']}, size regained after {report['size_regained']}"
        yield "regained", _row(report["regain_ms"])


def _remainder(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    held = ((report["rss_mb"], "MB"), (report["descriptors"], "descriptors"))
    amounts = (*held, (report["tasks"], "tasks"))
    changes = (f"{pair['start']} to {pair['end']} {unit}" for pair, unit in amounts)
    yield "parent held", ", ".join(changes)
    yield "conserved", "; ".join(report["differences"]) or "yes, every count agrees"


def _counts(by_kind: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in by_kind.items())


def _has(row: dict[str, float | None]) -> bool:
    return row["max"] is not None


def _row(values: dict[str, float | None]) -> str:
    cells = (f"{name} {'-' if ms is None else f'{ms:.1f}'}" for name, ms in values.items())
    return "  ".join(cells) + "  ms"


FORMATS = {"text": as_text, "json": as_json, "csv": as_csv}
