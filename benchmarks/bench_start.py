"""How soon workers are there, again after a loss too, and what memory they take.

Contenders take turns, a fresh process for each sample; medians are reported.
`python -m benchmarks.bench_start [--quick]` writes `benchmarks/results/start.json`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from benchmarks.plots import bars
from benchmarks.results import FOLDER, Table, median_and_spread, save
from benchmarks.running import run_marked
from tests.contract.openai_server import OpenAIServer

OURS = ["bridgepool forkserver", "bridgepool spawn"]
PEERS = ["ProcessPoolExecutor forkserver", "ProcessPoolExecutor spawn", "loky"]
SPARE = "bridgepool forkserver, 1 spare"
REPEATS = {"bare": 3, "dspy, local LM": 2, "dspy": 2, "dspy+litellm": 1}
LIMIT = 120.0
"""Seconds after which a sample is given up; a contender that hangs is reported as such."""


@dataclass(frozen=True)
class Sample:
    mode: str
    contender: str
    workload: str
    size: int = 8
    kills: int = 0

    def take(self, api_base: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.start_once", self.mode, self.contender]
        command += [self.workload, str(self.size), api_base]
        return run_marked(command, LIMIT, {"KILLS": str(self.kills)})


def plan(*, quick: bool) -> list[Sample]:
    samples: list[Sample] = []
    for workload, repeats in REPEATS.items():
        one_round = [Sample("ready", "bridgepool spawn", workload, size=1)]
        one_round += [Sample("ready", contender, workload) for contender in [*OURS, *PEERS]]
        one_round += [Sample("scenario", contender, workload) for contender in OURS]
        samples += one_round * (1 if quick else repeats)
    many, few = (20, 5) if quick else (200, 5)
    for workload in ("bare", "dspy, local LM, 50 ms"):
        fast = ["bridgepool forkserver", SPARE]
        samples += [Sample("gap", contender, workload, kills=many) for contender in fast]
        # What is lost on bare peers, and how soon they are back, is told by `bench_kills`.
        slow = ["bridgepool spawn", *(PEERS if workload != "bare" else [])]
        samples += [Sample("gap", contender, workload, kills=few) for contender in slow]
    return samples


def measure(samples: list[Sample]) -> dict[Sample, list[dict[str, Any]]]:
    taken: dict[Sample, list[dict[str, Any]]] = defaultdict(list)
    with OpenAIServer() as server:
        for number, sample in enumerate(samples, 1):
            print(f"{number}/{len(samples)} {sample}", file=sys.stderr)
            taken[sample].append(sample.take(server.api_base))
    return taken


def starts(taken: dict[Sample, list[dict[str, Any]]], workload: str) -> Table:
    """Eight workers from nothing, against one spawned worker."""
    columns = ["first reply s", "8 ready s", "against one spawned", "CPU s"]
    columns += ["ten operations s", "PSS MB", "USS MB"]
    table = Table(f"Start: 8 workers, {workload}", ["", *columns])
    one = Sample("ready", "bridgepool spawn", workload, size=1)
    alone = median_and_spread(taken[one], "ready_s").median
    for sample in [one, *(Sample("ready", c, workload) for c in [*OURS, *PEERS])]:
        found = {
            name: median_and_spread(taken[sample], name)
            for name in ("first_reply_s", "ready_s", "cpu_s", "pss", "uss")
        }
        ten = Sample("scenario", sample.contender, workload)
        done = median_and_spread(taken[ten], "ten_s") if sample.size > 1 and ten in taken else None
        table.add(
            f"{sample.contender}, {sample.size} worker{'s' * (sample.size > 1)}",
            found["first_reply_s"],
            found["ready_s"],
            f"{found['ready_s'].median / alone:.2f} x" if found["ready_s"] else "",
            found["cpu_s"],
            done or "",
            found["pss"],
            found["uss"],
        )
    return table


def gaps(taken: dict[Sample, list[dict[str, Any]]]) -> Table:
    columns = ["kills", "P50 ms", "P90 ms", "P99 ms", "max ms", "calls lost per kill"]
    table = Table("From SIGKILL until a new worker has taken a call", ["", *columns])
    for sample, answers in taken.items():
        if sample.mode != "gap":
            continue
        name = f"{sample.contender}, {sample.workload}"
        found = sorted(gap for answer in answers for gap in answer.get("gaps_ms", []))
        if not found:
            table.add(name, *["failed"] * len(columns))
            continue
        cuts = statistics.quantiles(found, n=100, method="inclusive")
        percentiles = [f"{cuts[p - 1]:.1f}" for p in (50, 90, 99)]
        lost = answers[0]["lost_per_kill"]
        table.add(name, str(len(found)), *percentiles, f"{found[-1]:.1f}", f"{lost:.1f}")
    return table


def draw(taken: dict[Sample, list[dict[str, Any]]]) -> None:
    quantities = {"ready_s": "seconds until 8 workers are ready", "pss": "PSS of them all, MB"}
    panels = {
        title: {
            workload: {
                contender: median_and_spread(
                    taken[Sample("ready", contender, workload)], name
                ).median
                for contender in [*OURS, *PEERS]
            }
            for workload in REPEATS
        }
        for name, title in quantities.items()
    }
    bars(FOLDER / "start.png", panels, [*OURS, *PEERS])


def run(*, quick: bool) -> None:
    """Measure, print and keep."""
    taken = measure(plan(quick=quick))
    save("start", [*(starts(taken, workload) for workload in REPEATS), gaps(taken)], taken)
    draw(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one sample of each")
    run(quick=parser.parse_args().quick)


if __name__ == "__main__":
    main()
