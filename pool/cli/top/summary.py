"""The lines above the tables of a frame: what there is, how much of it, and what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.text import Text

from pool.cli.top import words
from pool.cli.top.columns import STATES, trouble
from pool.cli.top.snapshot import Snapshot
from pool.lifecycle import PoolState
from pool.stats import PoolStats

Line = tuple[str, Text]
"""What it is about, and what there is to say."""

EXPECTED = {"ok", "cancelled", "closed"}
"""Outcomes that are no trouble by themselves."""

CALM = {"recycled_calls", "recycled_age", "recycled_memory", "idle", "unwanted", "reload", "drain"}
"""Reasons for a worker to go that the pool has of itself."""

MEANINGS = {
    PoolState.FAILED: "workers fail to start again and again: work is refused until one starts",
    PoolState.DRAINING: "no new work is taken, what runs may end",
    PoolState.CLOSED: "no work is taken any more",
}

_POOL_STYLES = {PoolState.OPEN: "bold green", PoolState.FAILED: "bold red"}


def _style(state: PoolState) -> str:
    return _POOL_STYLES.get(state, "bold yellow")


def heading(stats: PoolStats) -> Text:
    """The pool's name and state."""
    return Text.assemble(
        (words.clean(stats.name), "bold"),
        "  ",
        (stats.state.value, _style(stats.state)),
        (f"  {words.clean(stats.start_method)}, generation {stats.generation}", "dim"),
    )


def lines(snapshot: Snapshot) -> Iterator[Line]:
    """All there is to say in words."""
    stats = snapshot.stats
    if stats.state in MEANINGS:
        yield stats.state.value, Text(MEANINGS[stats.state], _style(stats.state))
    yield "workers", _workers(snapshot)
    yield "queue", _queue(snapshot)
    yield "checkouts", _outcomes(stats.checkouts, snapshot.checkouts)
    yield "calls", _outcomes(stats.calls, snapshot.calls)
    yield "starts", _starts(snapshot)
    if stats.worker_exits:
        yield "exits", _exits(stats.worker_exits, snapshot.exits)
    if stats.circuits:
        yield "circuits", _circuits(stats.circuits)
    beside = list(_beside(snapshot))
    if beside:
        yield "beside", _joined(beside)
    if snapshot.lacking:
        text = f"only /stats, not all is known: {words.clean(snapshot.lacking)}"
        yield "metrics", Text(text, "yellow")


def _workers(snapshot: Snapshot) -> Text:
    stats = snapshot.stats
    counts = ((state, getattr(stats, state)) for state in STATES)
    kinds = [Text(f"{count} {state}", STATES[state]) for state, count in counts if count]
    sizes = f"{stats.size}+{stats.overflow}" if stats.overflow else f"{stats.size}"
    parts = [Text(f"{stats.total} of {sizes}"), *kinds]
    if snapshot.metrics.utilization is not None:
        parts.append(Text(f"utilization {words.share(snapshot.metrics.utilization)}"))
    return _joined(parts)


def _queue(snapshot: Snapshot) -> Text:
    waiting, wait = snapshot.stats.waiting, snapshot.wait
    parts = [Text(f"{waiting:,} waiting", trouble(waiting))]
    if waiting and snapshot.metrics.oldest is not None:
        parts.append(Text(f"oldest {words.duration(snapshot.metrics.oldest)}", "yellow"))
    if wait is not None and wait.p50 is not None:
        parts.append(Text(f"waits {_quantiles(wait.p50, wait.p95, wait.p99)}"))
    parts.append(Text(f"{snapshot.stats.inflight_calls:,} calls in flight"))
    return _joined(parts)


def _quantiles(p50: float | None, p95: float | None, p99: float | None) -> str:
    named = (("p50", p50), ("p95", p95), ("p99", p99))
    return " ".join(f"{name} {words.duration(value)}" for name, value in named)


def _outcomes(totals: Mapping[str, int], rates: Mapping[str, float]) -> Text:
    """Rates by outcome, "ok" first; how many in all of what should not be."""
    ordered = sorted(totals, key=lambda outcome: (outcome != "ok", outcome))
    parts = []
    for outcome in ordered:
        rate = rates.get(outcome)
        shown = f"{words.clean(outcome)} {words.rate(rate)}/s"
        total = "" if outcome == "ok" else f" ({totals[outcome]:,} in all)"
        style = "" if outcome in EXPECTED else trouble(rate or 0.0)
        parts.append(Text(shown + total, style))
    return _joined(parts) if parts else Text("none", "dim")


def _starts(snapshot: Snapshot) -> Text:
    stats = snapshot.stats
    counts = ((stats.failed_starts, "failed"), (stats.replacements, "lost in service"))
    parts = [Text(f"{stats.worker_starts:,}")]
    parts += [Text(f"{count:,} {name}") for count, name in counts if count]
    if stats.restarts_in_window:
        parts.append(Text(f"{stats.restarts_in_window} failed lately", "yellow"))
    if snapshot.metrics.backoff:
        left = words.duration(snapshot.metrics.backoff)
        parts.append(Text(f"the next in {left} (back-off)", "yellow"))
    return _joined(parts)


def _beside(snapshot: Snapshot) -> Iterator[Text]:
    stats = snapshot.stats
    counts = (
        (stats.retries, "retries"),
        (stats.late_replies, "late replies"),
        (stats.leaks, "leases held too long"),
    )
    yield from (Text(f"{count:,} {name}") for count, name in counts if count)
    if snapshot.lag is not None:
        yield Text(f"loop lag p99 {words.duration(snapshot.lag)}")


def _exits(totals: Mapping[str, int], new: Mapping[str, int]) -> Text:
    parts = []
    for reason in sorted(totals, key=lambda reason: (-totals[reason], reason)):
        added = new.get(reason, 0)
        shown = f"{words.clean(reason)} {totals[reason]:,}" + (f" (+{added:,})" if added else "")
        parts.append(Text(shown, "" if reason in CALM else trouble(added)))
    return _joined(parts)


def _circuits(circuits: Mapping[str, str]) -> Text:
    return _joined(
        Text(f"{words.clean(command)} {words.clean(state)}", "red" if state == "open" else "yellow")
        for command, state in circuits.items()
    )


def _joined(parts: Iterable[Text]) -> Text:
    return Text(", ").join(parts)
