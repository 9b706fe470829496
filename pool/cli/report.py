"""The stress command's report: one set of figures as text, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Sequence
from typing import Any

from pool import PoolStats
from pool.cli.load import Measured

_PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}


def figures(measured: Measured, stats: PoolStats) -> dict[str, Any]:
    """Everything the report says; `stats` is of the moment before the pool closed."""
    done = measured.operations
    return {
        "operations": done,
        "successful": measured.successful,
        "failed": measured.failed,
        "errors": dict(measured.errors),
        "shed": measured.shed,
        "success_rate": measured.successful / done if done else 0.0,
        "throughput_per_s": measured.successful / measured.wall if measured.wall else 0.0,
        "wall_s": measured.wall,
        "latency_ms": milliseconds(measured.latencies),
        "queue_wait_ms": milliseconds(measured.waits),
        "worker_starts": stats.worker_starts,
        "worker_exits": sum(stats.worker_exits.values()),
        "first_result_s": measured.first_result,
        "failed_starts": stats.failed_starts,
        "replacements": stats.replacements,
        "kills": measured.kills,
        "size_regained": len(measured.regains),
        "regain_ms": milliseconds(measured.regains),
        "retries": measured.retries + stats.retries,
        "late_replies": stats.late_replies,
    }


def milliseconds(seconds: Sequence[float]) -> dict[str, float | None]:
    """Percentiles, interpolated, and the maximum; None of nothing."""
    if not seconds:
        return dict.fromkeys([*_PERCENTILES, "max"])
    cuts = [seconds[0]] * 99
    if len(seconds) > 1:
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    values = {name: cuts[percent - 1] for name, percent in _PERCENTILES.items()}
    values["max"] = max(seconds)
    return {name: round(value * 1000, 3) for name, value in values.items()}


def as_json(report: dict[str, Any]) -> str:
    return json.dumps(report)


def as_csv(report: dict[str, Any]) -> str:
    """A line of names and a line of values; percentiles and errors get columns of their own."""
    flat: dict[str, Any] = {}
    for name, value in report.items():
        if name == "errors":
            flat[name] = ";".join(f"{error}={count}" for error, count in value.items())
        elif isinstance(value, dict):
            flat.update({f"{name}_{key}": number for key, number in value.items()})
        else:
            flat[name] = value
    text = io.StringIO()
    writer = csv.DictWriter(text, flat, lineterminator="\n")
    writer.writeheader()
    writer.writerow(flat)
    return text.getvalue().rstrip("\n")


def as_text(report: dict[str, Any]) -> str:
    """The report for people."""
    errors = ", ".join(f"{count} {name}" for name, count in report["errors"].items())
    first = report["first_result_s"]
    lines = [
        f"operations    {report['operations']}: {report['successful']} successful, "
        f"{report['failed']} failed, {report['shed']} shed ({report['success_rate']:.1%})",
        f"errors        {errors or 'none'}",
        f"throughput    {report['throughput_per_s']:.1f} operations/s in {report['wall_s']:.2f} s",
        f"first result  {'none' if first is None else f'after {first:.2f} s'}",
        f"latency       {_row(report['latency_ms'])}",
        f"queue wait    {_row(report['queue_wait_ms'])}",
        f"workers       {report['worker_starts']} started ({report['failed_starts']} failed), "
        f"{report['worker_exits']} exited, {report['replacements']} lost and replaced",
    ]
    if report["kills"]:
        lines.append(
            f"kills         {report['kills']}, size regained after {report['size_regained']}"
        )
        lines.append(f"regained      {_row(report['regain_ms'])}")
    if report["retries"] or report["late_replies"]:
        lines.append(
            f"beside        {report['retries']} retries, {report['late_replies']} late replies"
        )
    return "\n".join(lines)


def _row(values: dict[str, float | None]) -> str:
    cells = (f"{name} {'-' if ms is None else f'{ms:.1f}'}" for name, ms in values.items())
    return "  ".join(cells) + "  ms"


FORMATS = {"text": as_text, "json": as_json, "csv": as_csv}
