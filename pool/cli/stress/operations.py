"""What one operation of the stress command does: a DSPy program, or a plain command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from pool import RemoteError

LOCAL_LM = "local/echo"

QUESTIONS = [
    "What is the capital of France?",
    "How many legs does a spider have?",
    "What is 17 times 23?",
    "Which planet is closest to the sun?",
    "Who wrote Don Quixote?",
    "What is the boiling point of water at sea level?",
    "How long is a marathon?",
    "What does the acronym JSON stand for?",
]


class WrongAnswer(Exception):
    """The answer does not belong to the question: calls were mixed up."""


class Call(Protocol):
    """Calls one command."""

    async def __call__(self, command: str, args: Mapping[str, Any]) -> Any: ...


class Operation(Protocol):
    """Runs once; raises if it does not succeed."""

    keeps_worker: bool
    """Whether its calls are made on one worker that is checked out for it."""

    async def run(self, call: Call, inputs: Mapping[str, Any]) -> None: ...


class RunProgram:
    """Create a program and execute it, as DSPex's stress test does.

    With the local LM, whose answers repeat the question, each answer is
    checked against its own question. A bridge that has no programs is sent
    the inputs as a plain `echo` instead.
    """

    keeps_worker = True

    def __init__(self, signature: str, lm: str) -> None:
        self._signature = signature
        self._answers_repeat_inputs = lm == LOCAL_LM
        self._numbers = count(1)
        self._has_programs = True

    async def run(self, call: Call, inputs: Mapping[str, Any]) -> None:
        if not self._has_programs:
            await RunCommand("echo").run(call, inputs)
            return
        program = f"stress-{next(self._numbers)}"
        try:
            made = {"id": program, "signature": self._signature}
            await call("create_program", made)
        except RemoteError as error:
            if error.error_type != "UnknownCommand":
                raise
            self._has_programs = False
            await self.run(call, inputs)
            return
        asked = {"program_id": program, "inputs": inputs}
        reply = await call("execute_program", asked)
        self._check(inputs, reply["outputs"])

    def _check(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        texts = [value for value in outputs.values() if isinstance(value, str)]
        question = str(next(iter(inputs.values()), ""))
        if self._answers_repeat_inputs and texts and not any(question in text for text in texts):
            raise WrongAnswer(f"{question!r} was answered with {texts!r}")


class RunCommand:
    """Call one command with the inputs as its arguments; `echo` is checked."""

    keeps_worker = False

    def __init__(self, command: str) -> None:
        self._command = command

    async def run(self, call: Call, inputs: Mapping[str, Any]) -> None:
        reply = await call(self._command, inputs)
        if self._command in ("echo", "aecho") and reply != inputs:
            raise WrongAnswer(f"{inputs!r} came back as {reply!r}")


def read_inputs(path: Path | None) -> list[dict[str, Any]]:
    """One JSON object of inputs per line, or the built-in questions.

    Raises `ValueError` naming the line that is no object.
    """
    if path is None:
        return [{"question": question} for question in QUESTIONS]
    inputs = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip():
            inputs.append(_read_line(line, f"{path}, line {number}"))
    if not inputs:
        raise ValueError(f"{path} has no inputs")
    return inputs


def _read_line(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{where}: an object of inputs is expected, not a {type(value).__name__}")
    return value
