"""Programs by session: definitions that travel, and what this worker has built of them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct, to_builtins

from bridge.dspy_bridge.building import Built, build
from bridge.messages import to_json

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

    _built: Built | None = None
    _building: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def built(self) -> Built:
        """What the definition makes, built once for all calls, on a thread."""
        async with self._building:
            if self._built is None:
                made = asyncio.to_thread(build, self.data.signature_def, self.data.program_type)
                self._built = await made
        return self._built

    def has_run(self) -> None:
        self.execution_count += 1
        self.last_executed = time.time()

    def describe(self) -> dict[str, Any]:
        return {
            "created_at": self.data.created_at,
            "execution_count": self.execution_count,
            "last_executed": self.last_executed,
            "signature": self.data.signature,
        }


async def make_program(
    program_id: str, signature: str | dict[str, Any], program_type: str
) -> Program:
    """Build a program that is new.

    Raises `SignatureError` or `ValueError` if it cannot be built.
    """
    built = await asyncio.to_thread(build, signature, program_type)
    data = ProgramData(
        program_id,
        to_builtins(built.signature.definition, str_keys=True),
        program_type,
        built.signature.field_mapping,
        signature,
        time.time(),
    )
    return Program(data, data.version, _built=built)


class Programs:
    """The programs of all sessions on this worker."""

    def __init__(self) -> None:
        self._sessions: dict[str, dict[str, Program]] = {}
        # By version, the one used longest ago first.
        self._passing: dict[str, Program] = {}

    def __len__(self) -> int:
        return sum(map(len, self._sessions.values()))

    def keep(self, session: str, program: Program) -> None:
        """Keep a program, in place of any other of its id."""
        self._of(session)[program.data.program_id] = program

    def adopt(self, session: str, data: ProgramData, version: str) -> Program:
        """Take over a definition, unless this very version is here already."""
        programs = self._of(session)
        known = programs.get(data.program_id)
        if known is None or known.version != version:
            known = programs[data.program_id] = Program(data, version)
        return known

    def passing(self, data: ProgramData) -> Program:
        """A program that came along with its call: it runs, and no session has it for that."""
        version = data.version
        program = self._passing.pop(version, None) or Program(data, version)
        self._passing[version] = program
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
