"""Many executions at once on one event loop: each is its own, whatever befalls the others."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.contract.dspy_stories import DSPY, LITELLM, STORIES, play


@pytest.mark.parametrize("name", STORIES)
async def test_by_dspys_client(name: str) -> None:
    await play(STORIES[name], DSPY)


@pytest.fixture(scope="module")
def told_by_litellm() -> dict[str, str | None]:
    command = [sys.executable, "-m", "tests.contract.dspy_stories", LITELLM]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=150)
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("name", STORIES)
def test_by_litellm(name: str, told_by_litellm: dict[str, str | None]) -> None:
    assert told_by_litellm[name] is None
