"""Any order of calls, endings and waiting, beside a model that remembers everything."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from pool.circuit.breaker import Breaker, CallVerdict
from pool.circuit.circuits import Circuits, Probes
from pool.errors import CircuitOpen

OPEN_FOR = 8.0
COMMANDS = st.sampled_from(["a", "a", "a", "b"])
SUCCESS, FAILURE = CallVerdict.SUCCESS, CallVerdict.FAILURE


@dataclass
class Model:
    """One command: when it was `opened` (None: calls pass freely), and which calls probe it."""

    failures: int
    successes: int
    opened: float | None = None
    streak: int = 0
    probing: set[int] = field(default_factory=set)
    missing: int = 0

    def half_open(self, now: float) -> bool:
        return self.opened is not None and now - self.opened >= OPEN_FOR

    def passes(self, now: float) -> bool:
        return self.opened is None or (self.half_open(now) and len(self.probing) < self.missing)

    def begins(self, call: int) -> None:
        if self.opened is not None:
            self.probing.add(call)

    def ends(self, call: int, was_probe: bool, verdict: CallVerdict, now: float) -> None:
        if self.opened is None:
            if was_probe or verdict is CallVerdict.NONE:
                return
            self.streak = self.streak + 1 if verdict is FAILURE else 0
            if self.streak >= self.failures:
                self._open(now)
        elif call in self.probing:
            self.probing.remove(call)
            if verdict is FAILURE:
                self._open(now)
            elif verdict is SUCCESS:
                self.missing -= 1
                if not self.missing:
                    self.opened, self.streak = None, 0

    def _open(self, now: float) -> None:
        self.opened, self.probing, self.missing = now, set(), self.successes

    def shown(self, now: float) -> str | None:
        if self.opened is None:
            return None
        return "half-open" if self.half_open(now) else "open"


@dataclass(frozen=True)
class Running:
    number: int
    command: str
    probes: Probes | None
    was_probe: bool


class BreakerMachine(RuleBasedStateMachine):
    running: Bundle[Running] = Bundle("running")

    @initialize(failures=st.integers(1, 2), successes=st.integers(1, 3))
    def start(self, failures: int, successes: int) -> None:
        breaker = Breaker(failures=failures, successes=successes, open_for=OPEN_FOR)
        self.circuits = Circuits("p", breaker)
        self.models = {name: Model(failures, successes) for name in ("a", "b")}
        self.now = 0.0
        self.number = 0

    @rule(target=running, command=COMMANDS, calls=st.integers(1, 3))
    def begin(self, command: str, calls: int) -> MultipleResults[Running]:
        return multiple(*(call for _ in range(calls) if (call := self._begin(command))))

    @rule(call=consumes(running), verdict=st.sampled_from(CallVerdict))
    def end(self, call: Running, verdict: CallVerdict) -> None:
        self.circuits.leave(call.command, call.probes, verdict, self.now)
        self.models[call.command].ends(call.number, call.was_probe, verdict, self.now)

    # Whole and half seconds: sums and differences are exact.
    @rule(seconds=st.sampled_from([0.5, OPEN_FOR, OPEN_FOR]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    def _begin(self, command: str) -> Running | None:
        model = self.models[command]
        try:
            probes = self.circuits.enter(command, self.now)
        except CircuitOpen as error:
            self._check_refusal(error, model)
            return None
        assert model.passes(self.now)
        self.number += 1
        model.begins(self.number)
        return Running(self.number, command, probes, model.opened is not None)

    def _check_refusal(self, error: CircuitOpen, model: Model) -> None:
        assert not model.passes(self.now)
        assert 0 < error.retry_after <= OPEN_FOR
        if not model.half_open(self.now):
            assert model.opened is not None
            assert error.retry_after == model.opened + OPEN_FOR - self.now

    @invariant()
    def the_same_circuits_are_shown(self) -> None:
        shown = {name: model.shown(self.now) for name, model in self.models.items()}
        assert self.circuits.states(self.now) == {k: v for k, v in shown.items() if v}

    @invariant()
    def only_what_fails_is_remembered(self) -> None:
        failing = [m for m in self.models.values() if m.streak or m.opened is not None]
        assert len(self.circuits) == len(failing)


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(stateful_step_count=40, deadline=None, database=None)
