"""Whether memory grows: leaks are told from noise, peaks, steps and warming up."""

from __future__ import annotations

from random import Random

import pytest

from pool.profile.report import Memory, Trend
from pool.profile.trend import ALLOWANCE, FEWEST, chance, slope, trend
from tests.unit.profiles import MB

NOISE = 0.3 * MB


def memory(*sizes: float, calls: int = 1) -> list[Memory]:
    """A look each second, `calls` calls after the one before."""
    return [Memory(float(at), int(size), at * calls) for at, size in enumerate(sizes)]


def noisy(base: float, count: int, each: float = 0.0, seed: int = 1) -> list[float]:
    random = Random(seed)
    return [base * MB + each * place + random.gauss(0, NOISE) for place in range(count)]


def test_the_slope_is_that_of_most_pairs() -> None:
    points = [(float(x), 3.0 * x) for x in range(9)]
    points[4] = (4.0, 1e9)
    assert slope(points) == pytest.approx(3.0)
    assert slope([]) == 0
    assert slope([(1.0, 5.0), (1.0, 9.0)]) == 0


def test_the_chance_of_a_trend() -> None:
    # Mann and Kendall: n = 6 rising, S = 15, variance 28.33, z = 2.63.
    assert chance([1, 2, 3, 4, 5, 6]) == pytest.approx(0.0085, abs=1e-4)
    assert chance([6, 5, 4, 3, 2, 1]) == chance([1, 2, 3, 4, 5, 6])
    assert chance([1, 1, 1, 1]) == chance([1, 3, 1]) == chance([1]) == chance([]) == 1.0
    # With ties, by hand: n = 5, values 1 1 2 2 3, S = 8, variance (300 - 18 - 18) / 18.
    assert chance([1, 1, 2, 2, 3]) == pytest.approx(0.0674, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_leak(seed: int) -> None:
    found = trend(memory(*noisy(50, 40, each=MB, seed=seed), calls=4))
    assert found.direction == "up"
    assert found.leak_suspected
    assert found.bytes_per_second == pytest.approx(MB, rel=0.1)
    assert found.bytes_per_call == pytest.approx(MB / 4, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_leak(seed: int) -> None:
    assert not trend(memory(*noisy(50, 60, seed=seed))).leak_suspected


def test_large_changes_to_and_fro_are_no_trend() -> None:
    sizes = [100, 20, 150, 60, 110, 40, 170, 90]
    assert trend(memory(*(size * MB for size in sizes))) == Trend()


def test_a_cache_that_is_filled_once_is_no_leak() -> None:
    step = noisy(50, 40) + noisy(90, 20)
    assert not trend(memory(*step)).leak_suspected


def test_a_peak_is_no_leak() -> None:
    sizes = noisy(50, 40)
    sizes[30:33] = [500 * MB] * 3
    assert not trend(memory(*sizes)).leak_suspected


def test_warming_up_is_no_leak() -> None:
    sizes = noisy(20, 20, each=2 * MB) + noisy(60, 30)
    assert not trend(memory(*sizes)).leak_suspected


def test_growth_that_a_large_worker_may_have() -> None:
    sizes = noisy(4000, 40, each=0.5 * MB)
    assert not trend(memory(*sizes)).leak_suspected
    assert trend(memory(*noisy(4000, 40, each=4 * MB))).leak_suspected


def test_memory_that_is_given_back() -> None:
    found = trend(memory(*noisy(200, 40, each=-2 * MB)))
    assert (found.direction, found.leak_suspected) == ("down", False)


def test_a_leak_in_calls_is_seen_behind_hours_without_calls() -> None:
    working = memory(*noisy(50, 20, each=MB))
    idle = [Memory(20.0 + at, working[-1].resident, working[-1].calls) for at in range(60)]
    assert trend([*working, *idle]).leak_suspected


def test_few_points_say_nothing() -> None:
    assert trend([]).direction == "flat"
    rising = memory(*(100 * MB * place for place in range(FEWEST - 1)))
    assert not trend(rising).leak_suspected


# Without noise, of workers without calls


def straight(base: float, each: float, count: int) -> list[float]:
    return [base + each * place for place in range(count)]


def after(before: list[float], each: float, count: int) -> list[float]:
    """These sizes, and so many more, of which each is so much larger."""
    return before + straight(before[-1] + each, each, count)


def seen(sizes: list[float]) -> Trend:
    return trend(memory(*sizes, calls=0))


def test_the_growth_is_that_of_the_later_half() -> None:
    found = seen(after([50 * MB] * 20, MB, 21))
    assert (found.growth, found.bytes_per_second, found.bytes_per_call) == (20 * MB, MB, 0)
    assert (found.direction, found.allowed, found.leak_suspected) == ("up", ALLOWANCE, True)
    assert seen(after(straight(50 * MB, MB, 20), 0, 21)) == Trend()


def test_of_a_short_series_the_last_points_count() -> None:
    sizes = [90 * MB, 10 * MB, *straight(50 * MB, MB, FEWEST + 2)]
    assert seen(sizes).growth == (FEWEST + 1) * MB
    assert seen(sizes[2 : FEWEST + 2]).growth == (FEWEST - 1) * MB


def test_a_worker_may_grow_by_so_much() -> None:
    assert ALLOWANCE == 4 * MB
    assert not seen(straight(50 * MB, ALLOWANCE / 16, 33)).leak_suspected
    assert seen(straight(50 * MB, ALLOWANCE / 15, 33)).leak_suspected


def test_a_large_worker_may_grow_by_its_share() -> None:
    assert seen([1000 * MB, *straight(1000 * MB, MB, FEWEST + 2)]).allowed == 10 * MB


@pytest.mark.parametrize(("part", "is_leak"), [(0.0, False), (0.45, False), (0.55, True)])
@pytest.mark.parametrize("order", [1, -1])
def test_both_halves_have_to_rise(part: float, is_leak: bool, order: int) -> None:
    """One of them by a part of what is allowed, if it went on like that, the other by much."""
    paces = [part * ALLOWANCE / 15, ALLOWANCE][::order]
    sizes = after(straight(50 * MB, paces[0], 8), paces[1], 8)
    found = seen(sizes[:1] * 16 + sizes)
    assert found.growth > found.allowed
    assert found.leak_suspected is is_leak


def test_what_has_ceased_to_rise_is_no_leak() -> None:
    found = seen([50.0 * MB] * 18 + after(straight(50 * MB, MB, 11), 0, 7))
    assert found.growth > found.allowed
    assert not found.leak_suspected


def test_one_small_step_is_no_direction() -> None:
    found = seen([50.0 * MB] * 36 + [60.0 * MB] * 4)
    assert (found.direction, found.bytes_per_second, found.leak_suspected) == ("flat", 0, False)


def test_a_leak_without_calls_is_seen_where_there_were_few_calls() -> None:
    sizes = straight(50 * MB, MB, 40)
    points = [Memory(float(at), int(size), min(at, 5)) for at, size in enumerate(sizes)]
    assert trend(points).leak_suspected


def test_moments_without_calls_do_not_count_where_there_were_enough() -> None:
    """Six times ten moments, in the first of which there was a call that took 10 MB for good."""
    points = [
        Memory(float(10 * call + at), int((50 + 10 * call) * MB), call)
        for call in range(FEWEST + 1)
        for at in range(10)
    ]
    found = trend(points)
    assert (found.growth, found.bytes_per_call) == ((FEWEST - 1) * 10 * MB, 10 * MB)
