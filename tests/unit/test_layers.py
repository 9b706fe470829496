"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("bridge/**/*.py"), *ROOT.glob("pool/**/*.py")])


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


NAMES = {name_of(path) for path in FILES}
PURE = {
    "bridge.arguments",
    "bridge.frames",
    "bridge.messages",
    "bridge.messages.batch",
    "bridge.messages.memory",
    "bridge.messages.memory.arrays",
    "bridge.messages.memory.held",
    "bridge.messages.memory.large",
    "bridge.messages.memory.regions",
    "bridge.messages.secrets",
    "bridge.messages.template",
    "bridge.messages.trace",
    "bridge.requests",
    "bridge.untold",
    "pool.capacity",
    "pool.checkout",
    "pool.circuit.breaker",
    "pool.circuit.circuits",
    "pool.cli.doctor.steps",
    "pool.cli.map.contents",
    "pool.cli.map.done",
    "pool.cli.map.lines",
    "pool.cli.map.records",
    "pool.cli.stress.conservation",
    "pool.cli.stress.measured",
    "pool.cli.stress.report",
    "pool.cli.top.columns",
    "pool.cli.top.exposition",
    "pool.cli.top.frame",
    "pool.cli.top.histogram",
    "pool.cli.top.reading",
    "pool.cli.top.render",
    "pool.cli.top.snapshot",
    "pool.cli.top.summary",
    "pool.cli.top.words",
    "pool.config",
    "pool.definitions",
    "pool.errors",
    "pool.exchange.calls",
    "pool.exchange.filled",
    "pool.exchange.outcomes",
    "pool.exchange.requests",
    "pool.ledger",
    "pool.ledger.idle",
    "pool.ledger.life",
    "pool.ledger.lobby",
    "pool.ledger.members",
    "pool.ledger.recycling",
    "pool.ledger.roster",
    "pool.ledger.rules",
    "pool.ledger.service",
    "pool.lifecycle",
    "pool.profile.book",
    "pool.profile.commands",
    "pool.profile.compare",
    "pool.profile.findings",
    "pool.profile.formats.page",
    "pool.profile.formats.sections",
    "pool.profile.formats.table",
    "pool.profile.formats.text",
    "pool.profile.kept",
    "pool.profile.report",
    "pool.profile.series",
    "pool.profile.sketch",
    "pool.profile.sla",
    "pool.profile.system",
    "pool.profile.thresholds",
    "pool.profile.trend",
    "pool.profile.units",
    "pool.quotes",
    "pool.restarts",
    "pool.retries",
    "pool.sessions",
    "pool.slots",
    "pool.stats",
    "pool.telemetry.events",
    "pool.telemetry.gaps",
    "pool.telemetry.histograms",
    "pool.telemetry.metrics",
    "pool.telemetry.readiness",
    "pool.telemetry.tally",
    "pool.telemetry.tracing",
    "pool.timeouts",
    "pool.version",
    "pool.worker.lines",
    "pool.worker.postmortem",
    "pool.worker.timings",
}
CLOCKED = {"bridge.messages"}
"""Stamps replies with the time of day, as the wire asks for."""


def imports(path: Path, *, at_run_time: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if at_run_time and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(ast.walk(node))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in NAMES else node.module


def top(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    name, found = name_of(path), set(imports(path))
    if top(name) == "bridge":
        allowed = {"bridge", "msgspec", *sys.stdlib_module_names}
        if name.startswith("bridge.dspy_bridge"):
            allowed.add("dspy")
        assert {top(module) for module in found} <= allowed
    else:
        ours = {m for m in found if top(m) == "bridge"}
        assert all(m.startswith(("bridge.frames", "bridge.messages")) for m in ours)
        assert not {m for m in found if top(m) in ("dspy", "litellm")}
    if name in PURE:
        forbidden = {"asyncio", "anyio", "select", "socket", "subprocess", "threading"}
        if name not in CLOCKED:
            forbidden.add("time")
        assert not {top(module) for module in found} & forbidden


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_doubles_need_nothing_and_nothing_needs_them(path: Path) -> None:
    name, found = name_of(path), set(imports(path))
    if name.startswith("pool.testing"):
        allowed = {"pool", "bridge", *sys.stdlib_module_names}
        assert {top(module) for module in found} <= allowed
    else:
        assert not {module for module in found if module.startswith("pool.testing")}


def test_there_is_no_cycle() -> None:
    graph = {
        name_of(path): {m for m in imports(path, at_run_time=True) if m in NAMES} for path in FILES
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way, name])
        if name not in done:
            for other in graph[name]:
                visit(other, (*way, name))
            done.add(name)

    for name in NAMES:
        visit(name, ())


def test_the_lifeline_script_needs_the_standard_library_alone() -> None:
    found = set(imports(ROOT / "bridge/lifeline.py"))
    assert {top(module) for module in found} <= set(sys.stdlib_module_names)
