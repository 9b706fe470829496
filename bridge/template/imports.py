"""Watches imports: what each costs, and during which one a thread appeared."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_TASKS = "/proc/self/task"
_OVERHEAD = 2
"""Links of a directory that are not one of its entries (`.` and its own name)."""


def thread_count() -> int:
    """Threads of this process, those that Python does not know of included."""
    return os.stat(_TASKS).st_nlink - _OVERHEAD  # noqa: PTH116 - a tenth of the time of Path


@dataclass(slots=True)
class _Running:
    """A module whose code runs; `made` is the time that it took to make the module for it."""

    name: str
    made: float = 0.0
    children: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one import: the module's own code, and with all it imported."""

    module: str
    own: float
    total: float


@dataclass(eq=False)
class ImportWatch(MetaPathFinder):
    """Stands in front of all finders while it is entered, and wraps what they find.

    A module is looked at when its code has run: a thread that was not there
    before appeared in that code, because what it imported was looked at before.
    """

    costs: list[Cost] = field(default_factory=list)
    appeared: dict[str, str] = field(default_factory=dict)
    """Where each thread, by name, appeared."""
    _stack: list[_Running] = field(default_factory=list)
    _threads: int = field(default_factory=thread_count)
    _owner: int = field(default_factory=threading.get_ident)

    def __enter__(self) -> ImportWatch:
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if threading.get_ident() != self._owner:
            return None  # somebody else's import: the other finders see to it
        spec = self._find(name, path, target)
        if spec is not None:
            self._wrap(spec.loader, _Running(name))
        return spec

    def _find(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                return spec
        return None

    def _wrap(self, loader: Any, running: _Running) -> None:
        """Have this one loader tell when the module is made and run; others share no instance."""
        if loader is None or isinstance(loader, type) or not hasattr(loader, "__dict__"):
            return
        create, execute = loader.create_module, loader.exec_module

        def create_module(spec: ModuleSpec) -> ModuleType | None:
            del loader.create_module
            began = time.perf_counter()
            module: ModuleType | None = create(spec)
            running.made = time.perf_counter() - began
            return module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            # A lazy module may come to run only when nobody watches any more.
            with self._measured(running) if self in sys.meta_path else nullcontext():
                execute(module)

        loader.create_module, loader.exec_module = create_module, exec_module

    @contextmanager
    def _measured(self, running: _Running) -> Iterator[None]:
        self._stack.append(running)
        began = time.perf_counter()
        try:
            yield
        finally:
            self._stack.pop()
            total = time.perf_counter() - began + running.made
            if self._stack:
                self._stack[-1].children += total
            self.costs.append(Cost(running.name, total - running.children, total))
            self.look(f"the import of {running.name}")

    def look(self, where: str) -> None:
        """See whether there are more threads than before, which then appeared in `where`."""
        threads = thread_count()
        if threads > self._threads:
            for name in thread_names():
                self.appeared.setdefault(name, where)
        self._threads = threads


def thread_names() -> list[str]:
    """The names of all threads but the main one; a native one has its task's name."""
    known = {thread.native_id: thread.name for thread in threading.enumerate()}
    others = (task for task in map(int, os.listdir(_TASKS)) if task != os.getpid())  # noqa: PTH208
    return [known.get(task) or f"native {task}, {_task_name(task)!r}" for task in others]


def _task_name(task: int) -> str:
    try:
        with open(f"{_TASKS}/{task}/comm") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return "gone"
