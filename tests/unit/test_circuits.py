"""The circuits of a pool's commands, with plain floats for time."""

from __future__ import annotations

import pytest

from pool.circuit.breaker import Breaker, CallVerdict
from pool.circuit.circuits import LEAST_RETRY, MAX_CIRCUITS, Circuits, Probes
from pool.errors import CircuitOpen
from pool.lifecycle import CircuitState

SUCCESS, FAILURE, NONE = CallVerdict.SUCCESS, CallVerdict.FAILURE, CallVerdict.NONE


def make(failures: int = 2, successes: int = 2, most: int = 100) -> Circuits:
    breaker = Breaker(failures=failures, successes=successes, open_for=10.0)
    return Circuits("p", breaker, most)


def call(circuits: Circuits, verdict: CallVerdict, now: float = 0.0, command: str = "c") -> None:
    circuits.leave(command, circuits.enter(command, now), verdict, now, "ValueError")


def opened(circuits: Circuits) -> Circuits:
    call(circuits, FAILURE)
    call(circuits, FAILURE)
    assert circuits.states(0.0) == {"c": "open"}
    return circuits


def probe(circuits: Circuits, now: float = 10.0) -> Probes:
    probes = circuits.enter("c", now)
    assert probes is not None
    return probes


def refused(circuits: Circuits, now: float) -> CircuitOpen:
    with pytest.raises(CircuitOpen) as caught:
        circuits.enter("c", now)
    return caught.value


def test_what_never_failed_leaves_no_record() -> None:
    circuits = make()
    for verdict in (SUCCESS, NONE):
        call(circuits, verdict)
    assert len(circuits) == 0


def test_only_failures_in_a_row_open_a_circuit() -> None:
    circuits = make()
    for verdict in (FAILURE, SUCCESS, FAILURE, SUCCESS):
        call(circuits, verdict)
    assert len(circuits) == 0
    for verdict in (FAILURE, NONE, FAILURE):  # what says nothing does not interrupt
        call(circuits, verdict)
    assert circuits.states(0.0) == {"c": "open"}


def test_commands_have_circuits_of_their_own() -> None:
    circuits = opened(make())
    call(circuits, SUCCESS, command="other")
    call(circuits, FAILURE, command="other")
    assert circuits.states(0.0) == {"c": "open"}


def test_an_open_circuit_refuses_and_says_when_to_try_again() -> None:
    circuits = opened(make())
    error = refused(circuits, 4.0)
    assert (error.command, error.retry_after) == ("c", 6.0)
    assert "p: calls of 'c' kept failing, the last with ValueError" in str(error)
    assert "its circuit is open. Nothing was sent: try again in about 6.00 s" in str(error)
    assert refused(circuits, 9.999).retry_after == pytest.approx(0.001)


def test_as_many_probes_at_a_time_as_successes_are_missing() -> None:
    circuits = opened(make(successes=3))
    first = probe(circuits)
    for _ in range(2):
        probe(circuits)
    assert "half-open, with as many probes running as may (3)" in str(refused(circuits, 10.0))
    circuits.leave("c", first, SUCCESS, 11.0)
    refused(circuits, 11.0)  # two are missing, and two run


def test_a_refusal_beside_probes_has_callers_back_off() -> None:
    circuits = opened(make(successes=1))
    probe(circuits)
    waits = [refused(circuits, now).retry_after for now in (10.0, 11.0, 13.0, 100.0)]
    assert waits == [LEAST_RETRY, 1.0, 3.0, 10.0]  # never longer than open_for


def test_enough_successes_close_it_and_drop_the_record() -> None:
    circuits = opened(make())
    one, two = probe(circuits), probe(circuits)
    assert circuits.leave("c", one, SUCCESS, 11.0) is None
    assert circuits.states(11.0) == {"c": "half-open"}
    assert circuits.leave("c", two, SUCCESS, 11.0) is CircuitState.CLOSED
    assert len(circuits) == 0


def test_one_failing_probe_opens_it_again_for_the_whole_time() -> None:
    circuits = opened(make())
    call(circuits, SUCCESS, now=10.0)
    changed = circuits.leave("c", probe(circuits), FAILURE, 12.0, "OSError")
    assert changed is CircuitState.OPEN
    assert refused(circuits, 12.0).retry_after == 10.0
    assert "OSError" in str(refused(circuits, 12.0))
    # The successes of the last time do not count for the next.
    call(circuits, SUCCESS, now=22.0)
    assert circuits.states(22.0) == {"c": "half-open"}


def test_a_probe_without_a_verdict_gives_its_place_back() -> None:
    circuits = opened(make(successes=1))
    circuits.leave("c", probe(circuits), NONE, 11.0)
    assert circuits.states(11.0) == {"c": "half-open"}
    call(circuits, SUCCESS, now=11.0)
    assert len(circuits) == 0


@pytest.mark.parametrize("verdict", [SUCCESS, FAILURE])
def test_the_other_probes_of_one_that_failed_count_for_nothing(verdict: CallVerdict) -> None:
    circuits = opened(make(successes=2))
    failing, other = probe(circuits), probe(circuits)
    circuits.leave("c", failing, FAILURE, 11.0)
    assert circuits.leave("c", other, verdict, 12.0) is None
    assert refused(circuits, 12.0).retry_after == 9.0


def test_probes_of_an_earlier_time_count_for_nothing() -> None:
    circuits = opened(make(successes=2))
    early, failing = probe(circuits), probe(circuits)
    circuits.leave("c", failing, FAILURE, 11.0)
    late = probe(circuits, 21.0)
    assert circuits.leave("c", early, FAILURE, 21.0) is None
    assert circuits.states(21.0) == {"c": "half-open"}
    circuits.leave("c", late, SUCCESS, 21.0)
    call(circuits, SUCCESS, now=21.0)
    assert len(circuits) == 0


def test_nor_do_they_when_the_circuit_has_closed_meanwhile() -> None:
    circuits = opened(make(successes=2))
    early, failing = probe(circuits), probe(circuits)
    circuits.leave("c", failing, FAILURE, 11.0)
    for _ in range(2):
        call(circuits, SUCCESS, now=21.0)
    circuits.leave("c", early, FAILURE, 21.0)
    assert len(circuits) == 0


@pytest.mark.parametrize("verdict", [SUCCESS, FAILURE])
@pytest.mark.parametrize("half_open", [False, True])
def test_calls_that_ran_when_it_opened_count_for_nothing(
    verdict: CallVerdict, half_open: bool
) -> None:
    circuits = make()
    running = circuits.enter("c", 0.0)
    opened(circuits)
    if half_open:
        probe(circuits)
    assert circuits.leave("c", running, verdict, 11.0) is None
    assert circuits.states(9.0) == {"c": "half-open" if half_open else "open"}


def test_a_circuit_that_nobody_probes_is_shown_half_open() -> None:
    assert opened(make()).states(10.0) == {"c": "half-open"}


def test_a_thousand_records_are_kept() -> None:
    circuits = Circuits("p", Breaker())
    for i in range(MAX_CIRCUITS + 1):
        call(circuits, FAILURE, command=str(i))
    assert len(circuits) == MAX_CIRCUITS == 1_000


def test_records_are_bounded_and_the_closed_one_that_failed_longest_ago_goes() -> None:
    circuits = make(failures=3, most=3)
    for name in ("open", "open", "open", "one", "two", "one", "three"):
        call(circuits, FAILURE, command=name)
    assert len(circuits) == 3
    for name in ("one", "two", "two"):  # the third of both, but "two" was forgotten
        call(circuits, FAILURE, command=name)
    assert circuits.states(0.0) == {"open": "open", "one": "open"}


def test_of_open_circuits_alone_the_oldest_goes_and_its_probes_count_for_nothing() -> None:
    circuits = opened(make(most=2))
    forgotten = probe(circuits)
    for name in ("one", "one", "two"):
        call(circuits, FAILURE, now=10.0, command=name)
    assert (len(circuits), circuits.states(10.0)) == (2, {"one": "open"})
    assert circuits.leave("c", forgotten, FAILURE, 11.0) is None
    assert circuits.states(11.0) == {"one": "open"}
