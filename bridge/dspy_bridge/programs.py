"""Programs by session: definitions that travel, and what this worker has built of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dspy
from msgspec import Struct, to_builtins

from bridge.dspy_bridge.signatures import (
    BuiltSignature,
    build_signature,
    read_signature,
)
from bridge.messages import to_json

_MODULES: dict[str, Callable[[Any], Any]] = {
    "predict": dspy.Predict,
    "chain_of_thought": dspy.ChainOfThought,
    "react": lambda signature: dspy.ReAct(signature, tools=[]),
    "program_of_thought": dspy.ProgramOfThought,
}


MAX_PASSING = 100
"""Built programs kept of those that came along with their calls."""


class ProgramData(Struct, omit_defaults=True):
    """All that another worker needs to build the same program."""

    program_id: str
    signature_def: str | dict[str, Any]
    program_type: str = "predict"
    field_mapping: dict[str, str] = {}
    signature: Any = None
    created_at: float = 0.0

    @property
    def version(self) -> str:
        """A digest of the whole: two definitions differ if their versions do."""
        return hashlib.sha256(to_json(self)).hexdigest()[:32]


class ProgramNotFound(LookupError):
    """The session has no program of that id."""

    def __str__(self) -> str:
        return f"Program not found: {self.args[0]}"


@dataclass
class Program:
    """A program as this worker knows it. Counts are this worker's own."""

    data: ProgramData
    version: str
    execution_count: int = 0
    last_executed: float | None = None

    @cached_property
    def signature(self) -> BuiltSignature:
        return build_signature(read_signature(self.data.signature_def))

    @cached_property
    def module(self) -> Any:
        """The dspy module, built on first use."""
        return _make_module(self.data.program_type, self.signature.dspy_class)

    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run on inputs by the client's names; return outputs by them.

        Raises `ValueError` naming every missing input, before anything runs.
        """
        mapping = self.signature.field_mapping
        named = {mapping.get(raw, raw): value for raw, value in inputs.items()}
        missing = [
            field.name
            for field in self.signature.definition.inputs
            if mapping[field.name] not in named
        ]
        if missing:
            raise ValueError(f"Missing required input(s): {', '.join(missing)}")
        prediction = self.module(**named)
        self.execution_count += 1
        self.last_executed = time.time()
        return {self.signature.raw_name(name): value for name, value in prediction.items()}

    def describe(self) -> dict[str, Any]:
        return {
            "created_at": self.data.created_at,
            "execution_count": self.execution_count,
            "last_executed": self.last_executed,
            "signature": self.data.signature,
        }


def _make_module(program_type: str, signature: Any) -> Any:
    make = _MODULES.get(program_type)
    if make is None:
        known = ", ".join(sorted(_MODULES))
        raise ValueError(f"Unknown program type: {program_type} (one of: {known})")
    return make(signature)


class Programs:
    """The programs of all sessions on this worker."""

    def __init__(self) -> None:
        self._sessions: dict[str, dict[str, Program]] = {}
        # By version, the one used longest ago first.
        self._passing: dict[str, Program] = {}

    def __len__(self) -> int:
        return sum(map(len, self._sessions.values()))

    def create(
        self, session: str, program_id: str, signature: str | dict[str, Any], program_type: str
    ) -> Program:
        """Build a program and keep it, in place of any other of that id.

        Raises `SignatureError` or `ValueError` if it cannot be built.
        """
        definition = read_signature(signature)
        data = ProgramData(
            program_id,
            to_builtins(definition, str_keys=True),
            program_type,
            build_signature(definition).field_mapping,
            signature,
            time.time(),
        )
        program = Program(data, data.version)
        _ = program.module
        self._of(session)[program_id] = program
        return program

    def adopt(self, session: str, data: ProgramData, version: str) -> Program:
        """Take over a definition, unless this very version is here already."""
        programs = self._of(session)
        known = programs.get(data.program_id)
        if known is None or known.version != version:
            known = programs[data.program_id] = Program(data, version)
        return known

    def passing(self, data: ProgramData) -> Program:
        """A program that came along with its call: it runs, and no session has it for that."""
        program = self._passing.pop(data.version, None) or Program(data, data.version)
        self._passing[data.version] = program
        if len(self._passing) > MAX_PASSING:
            del self._passing[next(iter(self._passing))]
        return program

    def find(self, session: str, program_id: str) -> Program:
        """Return the program or raise `ProgramNotFound`."""
        try:
            return self._sessions[session][program_id]
        except KeyError:
            raise ProgramNotFound(program_id) from None

    def listed(self, session: str) -> dict[str, Program]:
        return self._sessions.get(session, {})

    def drop(self, session: str, program_id: str) -> None:
        """Drop a program that may not be here."""
        self._sessions.get(session, {}).pop(program_id, None)

    def clear_session(self, session: str) -> list[str]:
        """Drop a session's programs and return their ids."""
        return list(self._sessions.pop(session, {}))

    def clear(self) -> int:
        """Drop everything and return how many programs that were."""
        count = len(self)
        self._sessions.clear()
        return count

    def _of(self, session: str) -> dict[str, Program]:
        return self._sessions.setdefault(session, {})
