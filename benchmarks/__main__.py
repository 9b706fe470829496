"""`python -m benchmarks [--quick]`: run every benchmark and write RESULTS.md."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

from benchmarks import bench_start
from benchmarks.results import FOLDER

BENCHMARKS = {"start": bench_start.run}
VERSIONS = ["bridgepool", "dspy", "litellm", "loky", "msgspec", "anyio"]

INTRODUCTION = """\
# Results

Made by `make bench`. Each sample is a process of its own; contenders take turns; figures are
medians, with the least and the greatest in brackets. The machine may be shared: read ratios
rather than absolute figures. Memory is the sum over all processes of a pool but the parent: PSS
counts a shared page once, USS not at all.
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
    parts = [INTRODUCTION, machine()]
    for name, run in BENCHMARKS.items():
        run(quick=quick)
        parts.append((FOLDER / f"{name}.md").read_text())
        parts.append(f"![{name}](results/{name}.png)\n")
    Path(__file__).with_name("RESULTS.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
