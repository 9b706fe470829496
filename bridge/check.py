"""`--check`: can this interpreter run the target? Answered without importing it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from bridge.target import problem_with

MIN_PYTHON = (3, 11)


def check(target: str, requires: Iterable[str], requires_env: Iterable[str]) -> dict[str, Any]:
    """Return `{"ok": ..., "problems": [...], ...}`; every problem, not only the first."""
    found = problems(target, requires, requires_env)
    return {
        "ok": not found,
        "problems": found,
        "target": target,
        "python": platform.python_version(),
        "executable": sys.executable,
    }


def problems(target: str, requires: Iterable[str], requires_env: Iterable[str]) -> list[str]:
    """Return why this interpreter cannot run the target, a sentence each."""
    return list(_problems(target, requires, requires_env))


def _problems(target: str, requires: Iterable[str], requires_env: Iterable[str]) -> Iterator[str]:
    if sys.version_info < MIN_PYTHON:
        wanted = ".".join(map(str, MIN_PYTHON))
        yield f"interpreter {sys.executable} is Python {platform.python_version()}, not {wanted}+"
    problem = problem_with(target)
    if problem is not None:
        yield problem
    for name in requires:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield f"distribution {name!r} is not installed for {sys.executable}"
    for name in requires_env:
        if not os.environ.get(name):
            yield f"environment variable {name!r} is not set"
