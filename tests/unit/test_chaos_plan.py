"""When which fault is due."""

from __future__ import annotations

import heapq
from itertools import islice, pairwise
from random import Random

import pytest

from pool.cli.stress.chaos import FAULTS, Plan, poisson, regular

KINDS = list(FAULTS)


def first(count: int, plan: Plan) -> list[tuple[float, str]]:
    return list(islice(plan, count))


def gaps(plan: Plan) -> list[float]:
    instants = [at for at, _ in first(4000, plan)]
    return [later - earlier for earlier, later in pairwise([0.0, *instants])]


def test_the_same_seed_gives_the_same_plan() -> None:
    plan = first(50, poisson(KINDS, 0.5, Random(7)))
    assert plan == first(50, poisson(KINDS, 0.5, Random(7)))
    assert plan != first(50, poisson(KINDS, 0.5, Random(8)))
    assert plan == sorted(plan)


def test_the_gaps_are_exponential() -> None:
    found = gaps(poisson(KINDS, 0.5, Random(1)))
    assert sum(found) / len(found) == pytest.approx(0.5, rel=0.05)
    # The mark of it: however long none has come, the next is as far away as ever.
    beyond = [gap - 0.5 for gap in found if gap > 0.5]
    assert len(beyond) / len(found) == pytest.approx(0.368, abs=0.03)
    assert sum(beyond) / len(beyond) == pytest.approx(0.5, rel=0.1)


def test_all_kinds_that_were_asked_for_are_equally_likely() -> None:
    kinds = [kind for _, kind in first(3000, poisson(["stop", "slow", "term"], 1.0, Random(2)))]
    assert {kinds.count(kind) for kind in ("stop", "slow", "term")} <= set(range(900, 1101))
    assert len(kinds) == 3000


def test_plans_can_be_merged() -> None:
    both = heapq.merge(regular("kill", 1.0), regular("stop", 1.5))
    assert first(4, both) == [(1.0, "kill"), (1.5, "stop"), (2.0, "kill"), (3.0, "kill")]
