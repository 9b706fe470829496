"""What the template does once: import the target, run its preload functions, freeze."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from bridge.check import problems
from bridge.messages.template import Explanation, ImportCost, Load, LoadTimes
from bridge.registry import Bridge
from bridge.report import report
from bridge.secrets import learn_options
from bridge.target import load
from bridge.template.imports import ImportWatch

COSTLIEST = 10
"""Modules that an explanation names."""


class Unloadable(Exception):
    """The environment cannot run the bridge; `args` are the reasons, a sentence each."""


class Loading:
    """One loading of a target. Raises `Unloadable` from `run`; the rest may be read afterwards."""

    def __init__(self, target: str, order: Load) -> None:
        self._target = target
        self._order = order
        self._watch = ImportWatch()
        self._began = time.perf_counter()
        self.took = LoadTimes()
        self._memory_before = memory()

    @property
    def threads(self) -> dict[str, str]:
        """Where each thread, by name, appeared."""
        return self._watch.appeared

    def run(self) -> Bridge:
        """Import the target and run what it preloads; all that is there then is never collected."""
        learn_options(bytes(self._order.options))
        found = problems(self._target, self._order.requires, self._order.requires_env)
        if found:
            raise Unloadable(*found)
        # What is imported stays: to look for garbage in between costs time and finds little.
        gc.disable()
        with self._watch:
            bridge = self._import()
            imported = time.perf_counter()
            self._preload(bridge)
        preloaded = time.perf_counter()
        gc.enable()
        gc.collect()
        # A collection in a worker would otherwise write to, and so copy, every shared page.
        gc.freeze()
        frozen = time.perf_counter()
        self.took = LoadTimes(imported - self._began, preloaded - imported, frozen - preloaded)
        return bridge

    def _import(self) -> Bridge:
        try:
            return load(self._target)
        except Exception as error:
            raise _unloadable(f"importing {self._target!r}", error) from error

    def _preload(self, bridge: Bridge) -> None:
        options = bytes(self._order.options)
        for function in bridge.take_preload():
            try:
                made = function(options)
                if hasattr(made, "__await__"):
                    asyncio.run(_wait_for(made))
            except Exception as error:
                raise _unloadable(f"preload {function.name!r}", error) from error
            self._watch.look(f"preload {function.name!r}")

    def explanation(self) -> Explanation:
        """What a person wants to know about it."""
        costs = sorted(self._watch.costs, key=lambda cost: cost.own, reverse=True)[:COSTLIEST]
        return Explanation(
            python=platform.python_version(),
            executable=sys.executable,
            versions=_versions([*self._order.requires, "bridgepool", "msgspec"], self._watch),
            import_time=self.took.imports,
            preload_time=self.took.preload,
            memory_before=self._memory_before,
            memory_after=memory(),
            costliest=[ImportCost(cost.module, cost.own, cost.total) for cost in costs],
        )


async def _wait_for(awaitable: object) -> object:
    return await awaitable  # type: ignore[misc]


def _unloadable(what: str, error: Exception) -> Unloadable:
    """In brief for the pool, in full on stderr; without secrets in both."""
    told = report(0, error)
    print(told.traceback, file=sys.stderr)
    return Unloadable(f"{what} raised {told.error_type}: {told.error}")


def memory() -> int:
    """Bytes of this process, its share of what it shares with others (PSS)."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _versions(required: Iterable[str], watch: ImportWatch) -> dict[str, str]:
    """The versions of what is required, and of what the watch saw imported."""
    providers = importlib.metadata.packages_distributions()
    packages = {cost.module.partition(".")[0] for cost in watch.costs}
    names = {*required, *(name for package in packages for name in providers.get(package, ()))}
    versions = {}
    for name in sorted(names, key=str.lower):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
