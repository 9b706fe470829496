"""Which commands' calls are refused because they keep failing. Pure: time is an argument.

A command has a record only from its first failure until a call of it succeeds,
or until its circuit has closed again: what always works leaves no trace here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pool.circuit.breaker import Breaker, CallVerdict
from pool.errors import CircuitOpen
from pool.lifecycle import CIRCUIT, CircuitEvent, CircuitState, advance

MAX_CIRCUITS = 1_000
"""Records kept. Commands are callers' strings, and an unknown one fails: above it the closed
record that failed longest ago is dropped, or the oldest of all if none is closed."""

LEAST_RETRY = 0.05
"""Seconds: the shortest `retry_after` while probes run, as for a full queue."""


@dataclass(eq=False, slots=True)
class Probes:
    """Those of one half-open time: how many run, how many have succeeded."""

    running: int = 0
    succeeded: int = 0
    latest: float = 0.0


@dataclass(eq=False, slots=True)
class Circuit:
    """What is known of one command.

    `failures` are counted since there is a record, `failed_with` names the
    last; from `probe_at` on an open circuit lets probes through.
    """

    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    failed_with: str = ""
    probe_at: float = 0.0
    probes: Probes = field(default_factory=Probes)

    def trip(self, probe_at: float) -> None:
        self.state = advance(CIRCUIT, self.state, CircuitEvent.TRIP)
        self.probe_at = probe_at

    def state_at(self, now: float) -> CircuitState:
        """An open circuit whose time is over is half-open, though nobody has come to probe it."""
        if self.state is CircuitState.OPEN and now >= self.probe_at:
            return CircuitState.HALF_OPEN
        return self.state

    def probe(self, now: float, successes: int) -> Probes | None:
        """Let a probe through at `now`; None if the circuit is open, or as many run as may."""
        if self.state_at(now) is not CircuitState.HALF_OPEN:
            return None
        if self.state is CircuitState.OPEN:
            self.state = advance(CIRCUIT, self.state, CircuitEvent.PROBE)
            # A probe of the last time that still runs keeps what it was given, and counts no more.
            self.probes = Probes()
        if self.probes.running >= successes - self.probes.succeeded:
            return None
        self.probes.running += 1
        self.probes.latest = now
        return self.probes


class Circuits:
    """The circuits of all commands. Every `enter` that returns is followed by one `leave`."""

    def __init__(self, pool: str, breaker: Breaker, max_circuits: int = MAX_CIRCUITS) -> None:
        self._pool = pool
        self._breaker = breaker
        self._max_circuits = max_circuits
        # The one that failed last is last.
        self._circuits: dict[str, Circuit] = {}

    def __len__(self) -> int:
        """How many records are kept."""
        return len(self._circuits)

    def enter(self, command: str, now: float) -> Probes | None:
        """A call begins; returns what `leave` is to be given. Raises `CircuitOpen`."""
        circuit = self._circuits.get(command)
        if circuit is None or circuit.state is CircuitState.CLOSED:
            return None
        probes = circuit.probe(now, self._breaker.successes)
        if probes is None:
            raise self._refusal(command, circuit, now)
        return probes

    def leave(
        self,
        command: str,
        probes: Probes | None,
        verdict: CallVerdict,
        now: float,
        failed_with: str = "an error",
    ) -> CircuitState | None:
        """A call has ended. Returns the state of its circuit if that changed it."""
        if probes is not None:
            probes.running -= 1
        if verdict is CallVerdict.NONE or not self._counts(command, probes):
            return None
        if verdict is CallVerdict.FAILURE:
            return self._failed(command, now, failed_with)
        return self._succeeded(command)

    def _counts(self, command: str, probes: Probes | None) -> bool:
        """Whether how a call ends matters: in the closed state, and of the present probes."""
        circuit = self._circuits.get(command)
        if circuit is None or circuit.state is CircuitState.CLOSED:
            return probes is None
        return circuit.state is CircuitState.HALF_OPEN and circuit.probes is probes

    def _failed(self, command: str, now: float, failed_with: str) -> CircuitState | None:
        circuit = self._circuits.pop(command, None) or self._new_circuit()
        self._circuits[command] = circuit
        circuit.failures += 1
        circuit.failed_with = failed_with
        if circuit.failures < self._breaker.failures:
            return None
        circuit.trip(now + self._breaker.open_for)
        return circuit.state

    def _succeeded(self, command: str) -> CircuitState | None:
        circuit = self._circuits.get(command)
        if circuit is None:
            return None
        if circuit.state is CircuitState.CLOSED:
            del self._circuits[command]
            return None
        circuit.probes.succeeded += 1
        if circuit.probes.succeeded < self._breaker.successes:
            return None
        del self._circuits[command]
        return advance(CIRCUIT, circuit.state, CircuitEvent.CLOSE)

    def _new_circuit(self) -> Circuit:
        """A record, in the place of another one if there are as many as may be."""
        if len(self._circuits) >= self._max_circuits:
            closed = (c for c, one in self._circuits.items() if one.state is CircuitState.CLOSED)
            del self._circuits[next(closed, next(iter(self._circuits)))]
        return Circuit()

    def states(self, now: float) -> dict[str, str]:
        """Commands whose circuit is not closed: "open" or "half-open"."""
        return {
            command: circuit.state_at(now).value
            for command, circuit in self._circuits.items()
            if circuit.state is not CircuitState.CLOSED
        }

    def _refusal(self, command: str, circuit: Circuit, now: float) -> CircuitOpen:
        retry_after = self._retry_after(circuit, now)
        how = circuit.state.value
        if circuit.state is CircuitState.HALF_OPEN:
            how += f", with as many probes running as may ({circuit.probes.running})"
        return CircuitOpen(
            f"{self._pool}: calls of {command!r} kept failing, the last with "
            f"{circuit.failed_with}; its circuit is {how}. Nothing was sent: try again in about "
            f"{retry_after:.2f} s, or look into the failure",
            command=command,
            retry_after=retry_after,
        )

    def _retry_after(self, circuit: Circuit, now: float) -> float:
        """Until the first probe; while probes run, as long again as the latest has run.

        Who follows the latter backs off exponentially.
        """
        if circuit.state is CircuitState.OPEN:
            return circuit.probe_at - now
        return min(self._breaker.open_for, max(LEAST_RETRY, now - circuit.probes.latest))
