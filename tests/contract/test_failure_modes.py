"""docs/failures.md, row by row: each failure is provoked, and shows as it says there."""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path

import pytest

import pool as pool_package
from pool import WorkerPool
from pool.config import PoolConfig
from tests.contract.failure_modes import (  # noqa: F401
    SCENARIOS,
    ProvenBy,
    calls,
    hosts,
    providers,
    starts,
    workers,
)
from tests.contract.failure_modes.table import PAGE, Row, read_table

ROWS = list(read_table(PAGE.read_text()))
PROVEN_ELSEWHERE = {row.failure for row in ROWS if isinstance(SCENARIOS.get(row.failure), ProvenBy)}
PROVOKED = [row for row in ROWS if row.failure not in PROVEN_ELSEWHERE]

NOT_OURS = {
    *("PYTHONFAULTHANDLER", "setsid", "bridgepool.stderr", "stderr_tail", "details"),
    *("bridge.dspy_bridge", "num_retries"),
}
"""Words in code that are neither a setting nor a name of the pool's."""


@pytest.mark.parametrize("row", PROVOKED, ids=lambda row: row.failure)
async def test_a_failure_shows_as_the_table_says(row: Row) -> None:
    scenario = SCENARIOS.get(row.failure)
    assert scenario is not None, "this row has no scenario"
    assert not isinstance(scenario, ProvenBy)
    shown = await scenario()
    raised = None if shown.error is None else type(shown.error).__name__
    assert raised == row.error
    for claim in row.claims:
        of = shown.stats if claim.of_stats else shown.error
        assert claim.holds(of), f"{claim} of {of!r} {vars(shown.error) if shown.error else ''}"


def test_rows_and_scenarios_are_the_same() -> None:
    assert Counter(row.failure for row in ROWS) == Counter(SCENARIOS.keys())


@pytest.mark.parametrize("failure", sorted(PROVEN_ELSEWHERE))
def test_a_row_that_is_proven_elsewhere_claims_nothing_and_its_test_is_collected(
    failure: str,
) -> None:
    [row] = [row for row in ROWS if row.failure == failure]
    assert (row.error, row.claims) == (None, ())
    proof = SCENARIOS[failure]
    assert isinstance(proof, ProvenBy)
    assert proof.test.__name__.startswith("test_")
    assert Path(inspect.getfile(proof.test)).match("tests/contract/test_*.py")


def test_settings_and_methods_in_the_advice_exist() -> None:
    known = {*PoolConfig.__dataclass_fields__, *vars(WorkerPool), *pool_package.__all__}
    known.update(inspect.signature(WorkerPool.call).parameters)
    for row in ROWS:
        names = {word.partition("=")[0].removesuffix("()") for word in row.advice}
        assert names - known - NOT_OURS == set(), row.failure


@pytest.mark.parametrize(
    "line",
    ["| A failure | `PoolError` | Nothing. |", "| A failure | | Nothing. | |"],
)
def test_a_row_needs_its_cells(line: str) -> None:
    with pytest.raises(ValueError, match="without all of its cells"):
        list(read_table(line))


def test_code_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing that can be compared"):
        list(read_table("| A failure | `PoolError`, `not a claim` | Nothing. | |"))
