"""DSPy programs as commands, on the names and error texts that DSPex clients know.

Start-up options: `{"lm": {...}}`, the arguments of `configure_lm`, so that
every worker has the LM.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import dspy
import msgspec
from msgspec import Struct, to_builtins

from bridge import Bridge, current_session, define, forget, forget_all
from bridge.dspy_bridge.building import build
from bridge.dspy_bridge.echo_lm import make_echo_lm
from bridge.dspy_bridge.execution import Outcome, call_settings, execute
from bridge.dspy_bridge.lm import CurrentLM, LMConfig, make_lm
from bridge.dspy_bridge.memory import memory_usage
from bridge.dspy_bridge.programs import Program, ProgramData, Programs, make_program
from bridge.dspy_bridge.streaming import stream
from bridge.dspy_bridge.warming import warm_up

bridge = Bridge()

_programs = Programs()
_lm = CurrentLM()


class Options(Struct, forbid_unknown_fields=True):
    """What the pool's `options` may hold for this bridge."""

    lm: LMConfig | None = None


@bridge.preload
def preload(options: Options) -> None:
    """What workers can share: the LM's backend, and all that a first program loads."""
    module = build("question -> answer", "predict").module

    def run(lm: dspy.LM) -> None:
        # Not on an event loop: dspy would start threads there, if only for a while.
        with call_settings(lm):
            module(question="Is it warm?")

    run(make_echo_lm())
    if options.lm is not None:
        warm_up(options.lm, run)


@bridge.on_start
def start(options: Options) -> None:
    if options.lm is not None:
        _lm.begin(make_lm(options.lm))


@bridge.on_define
def adopt(session: str, key: str, version: str, definition: Any) -> None:
    _programs.adopt(session, msgspec.convert(definition, ProgramData), version)


@bridge.on_forget
def drop(session: str, key: str | None) -> None:
    if key is None:
        _programs.clear_session(session)
    else:
        _programs.drop(session, key)


@bridge.command
def ping(**extra: Any) -> dict[str, Any]:
    return {"dspy_available": True}


@bridge.command
async def configure_lm(**config: Any) -> dict[str, Any]:
    """Set the LM of this worker's calls from now on; the pool's `options` set every worker's."""
    read = msgspec.convert(config, LMConfig)
    await _lm.replace(make_lm(read))
    return {
        "status": "configured",
        "model": read.model,
        "provider": read.provider,
        "temperature": read.temperature,
    }


@bridge.command
async def create_program(
    id: str | None = None,
    *,
    signature: str | dict[str, Any],
    program_type: str = "predict",
    **extra: Any,
) -> dict[str, Any]:
    program = await make_program(_required(id), signature, program_type)
    _programs.keep(current_session(), program)
    define(program.data.program_id, program.data, program.version)
    return {
        "program_id": program.data.program_id,
        "status": "created",
        "signature": signature,
        "program_type": program_type,
        "field_mapping": program.data.field_mapping,
        "signature_def": program.data.signature_def,
    }


@bridge.command
async def execute_program(
    program_id: str | None = None,
    *,
    inputs: dict[str, Any],
    program_data: ProgramData | None = None,
    **extra: Any,
) -> dict[str, Any]:
    program = _program_to_run(_required(program_id), program_data)
    async with _lm.lent() as lm:
        started = time.perf_counter()
        outcome = await execute(await program.built(), inputs, lm)
    return {"program_id": program_id, **_done(program, outcome, started)}


@bridge.command
async def stream_program(
    program_id: str | None = None,
    *,
    inputs: dict[str, Any],
    program_data: ProgramData | None = None,
    fields: list[str] | None = None,
    **extra: Any,
) -> AsyncIterator[dict[str, Any]]:
    """`execute_program` with its outputs in pieces, `{field, text}`, before the last item.

    `fields` are the outputs to tell of; all, if not given.
    """
    program = _program_to_run(_required(program_id), program_data)
    async with _lm.lent() as lm:
        started = time.perf_counter()
        async with aclosing(stream(await program.built(), inputs, lm, fields)) as items:
            async for item in items:
                if isinstance(item, Outcome):
                    yield _done(program, item, started)
                else:
                    yield to_builtins(item)


def _program_to_run(program_id: str, data: ProgramData | None) -> Program:
    if data is None:
        return _programs.find(current_session(), program_id)
    data.program_id = program_id
    return _programs.passing(data)


def _done(program: Program, outcome: Outcome, started: float) -> dict[str, Any]:
    program.has_run()
    return {
        "outputs": outcome.outputs,
        "execution_time": time.perf_counter() - started,
        "usage": outcome.usage,
    }


@bridge.command
async def list_programs(**extra: Any) -> dict[str, Any]:
    session = current_session()
    programs = [
        {"id": program_id, **program.describe(), "session_id": session}
        for program_id, program in _programs.listed(session).items()
    ]
    return {"programs": programs, "total_count": len(programs)}


@bridge.command
async def get_program_info(program_id: str | None = None, **extra: Any) -> dict[str, Any]:
    program = _programs.find(current_session(), _required(program_id))
    return {"program_id": program_id, **program.describe()}


@bridge.command
async def delete_program(program_id: str | None = None, **extra: Any) -> dict[str, Any]:
    program = _programs.find(current_session(), _required(program_id))
    _programs.drop(current_session(), program.data.program_id)
    forget(program.data.program_id)
    return {"program_id": program_id, "status": "deleted"}


@bridge.command
async def get_stats(**extra: Any) -> dict[str, Any]:
    return {
        "programs_count": len(_programs),
        "command_count": bridge.tally.commands,
        "error_count": bridge.tally.errors,
        "uptime": bridge.tally.uptime,
        "memory_usage": memory_usage(),
        "dspy_available": True,
    }


@bridge.command
async def cleanup(**extra: Any) -> dict[str, Any]:
    """Forget the programs of all sessions, on every worker of the pool."""
    forget_all()
    return {"status": "cleaned", "programs_removed": _programs.clear()}


@bridge.command
async def reset_state(**extra: Any) -> dict[str, Any]:
    """`cleanup`, and this worker's counts start from nought."""
    forget_all()
    commands, errors = bridge.tally.reset()
    return {
        "status": "reset",
        "programs_cleared": _programs.clear(),
        "commands_reset": commands,
        "errors_reset": errors,
    }


@bridge.command
async def cleanup_session(session_id: str, **extra: Any) -> dict[str, Any]:
    """Forget one session's programs, on every worker of the pool."""
    removed = _programs.clear_session(session_id)
    forget(*removed)
    return {"status": "cleaned", "session_id": session_id, "programs_removed": len(removed)}


def _required(program_id: str | None) -> str:
    if not program_id:
        raise ValueError("Program ID is required")
    return program_id
