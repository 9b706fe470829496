"""The plots of a report's page, in their order."""

from __future__ import annotations

from pool.profile.formats.latencies import latency, rows, shown, where
from pool.profile.formats.svg import TOLD, Plot
from pool.profile.formats.timelines import apart, load, memory, queue, starts

PLOTS = (
    Plot(
        "latency",
        "How long calls take",
        "From the moment a request is written until its reply is read, without the wait for a "
        "worker, on a logarithmic scale.",
        latency,
        lambda report: bool(shown(report)),
        rows,
    ),
    Plot(
        "phases",
        "Where the time goes",
        "The mean of each part of a call, its wait for a worker included.",
        where,
        lambda report: bool(shown(report)),
        lambda report: rows(report) + 0.2,
    ),
    Plot(
        "queue",
        "Queue and workers",
        "Checkouts that waited, the most at a time, and what the workers did.",
        queue,
        lambda report: len(report.snapshots) > 1,
        lambda _: 3.0,
    ),
    Plot(
        "memory",
        "Memory of the workers",
        "Resident memory. A line that rises all the time is a leak; one that rises once is a "
        "cache or an import.",
        memory,
        lambda report: any(len(worker.memory) > 1 for worker in report.workers),
        lambda _: 3.0,
    ),
    Plot(
        "starts",
        "Starts of workers",
        "What each start took, part by part. Import is nothing where a template has done it.",
        starts,
        lambda report: bool(report.starts),
        lambda report: 1.2 + 0.24 * min(TOLD, len(report.templates) + len(report.starts)),
    ),
    Plot(
        "load",
        "Processors and event loop",
        "Processors that were busy, and how late the event loop came to what was due: much of "
        "that means that the application blocks it.",
        load,
        lambda report: len(apart(report.snapshots)) > 2 if report.snapshots else False,
        lambda _: 3.0,
    ),
)
