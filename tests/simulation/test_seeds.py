"""Two thousand stories, each the same whenever its seed is told.

`python -m tests.simulation --first SEED --seeds 1` tells a seed that failed once more.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.story import Story

SEEDS = 2_000


@pytest.mark.timeout(900)  # where the machine is busy
def test_every_call_ends_once_and_the_pool_is_whole_again() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(SEEDS)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert told.stdout.endswith(f"{SEEDS} seeds, 0 failed\n"), told.stdout
    assert told.returncode == 0


def test_a_seed_tells_the_same_story_again() -> None:
    for seed in range(10):
        one, again = Story(seed), Story(seed)
        one.tell()
        again.tell()
        assert (one.outcomes, one.turns, one.exits) == (again.outcomes, again.turns, again.exits)


def test_the_stories_have_everything_in_them() -> None:
    outcomes: Counter[str] = Counter()
    exits: Counter[str] = Counter()
    for seed in range(100):
        story = Story(seed)
        story.tell()
        outcomes.update(story.outcomes.values())
        exits.update(story.exits)
    assert {"ok", "cancelled", "PoolTimeout", "PoolSaturated", "CallTimeout"} <= outcomes.keys()
    assert {"BrokenWorkerError", "ProtocolError", "EnvironmentInvalid"} <= outcomes.keys()
    assert outcomes["ok"] > outcomes.total() / 4
    assert {"crash", "signal", "start", "protocol", "ping", "timeout", "template_lost"} <= {*exits}
    assert {"idle", "unwanted", "reload", "drain"} <= exits.keys()
    assert {"recycled_calls", "recycled_age", "recycled_memory"} <= exits.keys()
