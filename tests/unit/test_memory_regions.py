"""Which parts of a file are taken: first fit, nothing twice, everything given back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.messages.memory.regions import PAGE, Regions


def test_the_first_gap_that_is_large_enough_is_taken() -> None:
    regions = Regions()
    assert [regions.take(call, PAGE) for call in range(4)] == [0, PAGE, 2 * PAGE, 3 * PAGE]
    regions.give_back(1)
    assert regions.take(4, PAGE + 1) == 4 * PAGE
    assert regions.take(5, PAGE) == PAGE


def test_a_gap_at_the_beginning_is_taken_too() -> None:
    regions = Regions()
    regions.take(1, PAGE)
    regions.take(2, PAGE)
    regions.give_back(1)
    assert regions.take(3, PAGE) == 0


def test_all_of_a_call_is_given_back_and_nothing_else() -> None:
    regions = Regions()
    regions.take(1, 10)
    regions.take(2, 10)
    regions.take(1, 10)
    regions.give_back(1)
    assert regions.end == PAGE + 10
    regions.give_back(2)
    assert regions.end == 0


def test_what_was_never_taken_is_given_back_in_vain() -> None:
    regions = Regions()
    regions.take(1, 10)
    regions.give_back(7)
    assert regions.end == 10


STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5 * PAGE), st.booleans()))


@given(STEPS)
def test_no_byte_is_ever_taken_twice(steps: list[tuple[int, int, bool]]) -> None:
    regions = Regions()
    taken: list[tuple[int, int, int]] = []
    for call, size, takes in steps:
        if takes:
            start = regions.take(call, size)
            assert start % PAGE == 0
            assert all(start + size <= first or last <= start for first, last, _ in taken)
            taken.append((start, start + size, call))
        else:
            regions.give_back(call)
            taken = [region for region in taken if region[2] != call]
        assert regions.end == max((last for _, last, _ in taken), default=0)
