"""What workers are told of their limits, and which limits this process cannot give."""

from __future__ import annotations

import resource
from typing import Any

import pytest

from pool.config import PoolConfig
from pool.launch.command import worker_environment
from pool.launch.limits import THREAD_VARIABLES, limit_problems

GIB = 1 << 30


def environment(**settings: Any) -> dict[str, str]:
    return worker_environment(PoolConfig(bridge="a", **settings))


def test_threads_are_told_to_every_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    found = environment(cpu_threads=3)
    assert {found[name] for name in THREAD_VARIABLES} == {"3"}


def test_a_variable_of_the_pool_wins_over_cpu_threads() -> None:
    found = environment(cpu_threads=3, env={"OMP_NUM_THREADS": "5"})
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == ("5", "3")


def test_without_cpu_threads_the_parents_variables_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    found = environment()
    assert found["MKL_NUM_THREADS"] == "7"
    assert "RAYON_NUM_THREADS" not in found


def hard_limits(monkeypatch: pytest.MonkeyPatch, hard: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (32, hard))


def test_every_limit_above_the_parents_own_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    hard_limits(monkeypatch, 4096)
    config = PoolConfig(bridge="a", max_address_space=GIB, max_open_files=4097)
    assert limit_problems(config) == [
        f"max_address_space={GIB} is above this process's own hard limit, 4096",
        "max_open_files=4097 is above this process's own hard limit, 4096",
    ]


@pytest.mark.parametrize("hard", [4096, resource.RLIM_INFINITY])
def test_a_limit_up_to_the_parents_own_is_none(monkeypatch: pytest.MonkeyPatch, hard: int) -> None:
    hard_limits(monkeypatch, hard)
    assert limit_problems(PoolConfig(bridge="a", max_open_files=4096)) == []
