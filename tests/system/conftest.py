"""Tests that need programs of the system: `make test-system` installs and runs them.

Run in any other way they are skipped where those are missing; with REQUIRE_SYSTEM in the
environment that is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: Any
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and "REQUIRE_SYSTEM" in os.environ:
        report.outcome = "failed"
    return report


def program(name: str) -> str:
    """Where a program is; the test is skipped if it is not there."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; `make test-system` does that")
    return found
