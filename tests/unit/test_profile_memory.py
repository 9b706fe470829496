"""The memory of a profile does not grow with the calls; `benchmarks.profile_memory` tells more."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from random import Random

import pytest

from benchmarks.profile_memory import feed
from tests.unit.profiles import book, call, report


def held() -> int:
    """Bytes that Python has allocated and still holds."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.fixture
def _traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("_traced")
def test_twice_as_many_calls_take_no_more_memory() -> None:
    told, random = book(keep=100), Random(0)
    before = held()
    feed(told, 20_000, random)
    assert report(told).calls == 20_000
    first = held() - before
    feed(told, 20_000, random, at=1000.0)
    assert report(told).calls == 40_000
    assert held() - before < 1.1 * first + 1_000_000
    assert first < 20_000_000


def test_phases_that_are_told_at_length_are_not_kept() -> None:
    told = book(keep=0)
    names = {f"{'x' * 90}{place}": 0.001 for place in range(50)}
    tracemalloc.start()
    before = held()
    told.hear([call(phases=names) for _ in range(400)])
    assert held() - before < 1_000_000
    tracemalloc.stop()
