"""`python -m benchmarks [--quick]`: run every benchmark and write RESULTS.md."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import bench_start, report
from benchmarks.results import FOLDER

BENCHMARKS: dict[str, Callable[..., None]] = {
    "start": bench_start.run,
    **{
        name: partial(report.run, name)
        for name in (
            *("echo", "layers", "throughput", "concurrent", "map", "stream"),
            *("payload", "kills", "offered", "dspy", "telemetry"),
        )
    },
}
VERSIONS = ["bridgepool", "dspy", "litellm", "msgspec", "anyio"]
VERSIONS += ["loky", "mpire", "pebble", "trio-parallel", "uvloop", "prometheus-client", "ddsketch"]

INTRODUCTION = """\
# Results

Made by `make bench`; one benchmark alone by `python -m benchmarks.bench_NAME`. Each sample is a
process of its own; contenders take turns; figures are medians, with the least and the greatest in
brackets. A sample that has not answered by its deadline is killed with all its children, and the
last column says so. The machine may be shared: read ratios rather than absolute figures. Memory is
the sum over all processes of a pool but the parent: PSS counts a shared page once, USS not at all.

A limit is a bare loop with no pool around it (`benchmarks/limits/`): frames of a 4-byte length and
JSON by msgspec; ratios to it refer to `add_reader, pipe`. Peers are called as their documentation
has it: one call at a time blocking where they block, many at a time as awaited futures. Their
workers are spawned where there is a choice, as that is safe beside threads. Left out: ray
and dask, which bring a cluster with them, MLServer, a server, and aiomultiprocess, which polls.
Bare loops replace no worker, and so have no row for kills.
"""


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    return (
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}; {len(os.sched_getaffinity(0))} "
        f"processors, {memory:.0f} GiB; {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; {versions}.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one sample of each")
    quick = parser.parse_args().quick
    began = time.monotonic()
    parts = [INTRODUCTION]
    for name, run in BENCHMARKS.items():
        run(quick=quick)
        parts.append(f"`python -m benchmarks.bench_{name}{' --quick' * quick}`:\n")
        parts.append((FOLDER / f"{name}.md").read_text())
        parts.append(f"![{name}](results/{name}.png)\n")
    minutes = (time.monotonic() - began) / 60
    parts.insert(1, f"{machine()}\nTaken in {minutes:.0f} minutes{', with --quick' * quick}.\n")
    Path(__file__).with_name("RESULTS.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
