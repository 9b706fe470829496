"""`start_method="spawn"` and `argv=`: a fresh process for each worker."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial

import anyio
import msgspec

from bridge.messages.secrets import Secrets
from pool.clock import move_on_after
from pool.config import PoolConfig
from pool.exchange.ends import PipeEnds
from pool.exchange.large import Memory
from pool.exchange.link import PipeLink
from pool.launch import Launched
from pool.launch.command import (
    check_command,
    interpreter,
    worker_command,
    worker_environment,
)
from pool.launch.descriptors import close_end
from pool.launch.handover import new_memory
from pool.launch.limits import apply_limits, limit_problems
from pool.launch.starter import Starter
from pool.quotes import excerpt
from pool.worker.output import Output, log_lines_of


class _CheckReport(msgspec.Struct):
    problems: list[str]


class SpawnLauncher:
    """Starts an interpreter, or a foreign executable, per worker."""

    start_method = "spawn"

    def __init__(self, config: PoolConfig, secrets: Secrets) -> None:
        self.generation = 0
        self.secrets = secrets
        self._config = config
        self._environment = self._new_environment()
        self._starter = Starter(config.starts_at_once)

    async def validate(self) -> tuple[str, ...]:
        environment = self._new_environment()
        problems = await self._problems(environment)
        if not problems:
            self.generation += 1
            self._environment = environment
        return problems

    def revert(self) -> None:
        """There is nothing to go back to: code is read anew by each worker."""

    async def launch(self, worker: str) -> Launched:
        generation = self.generation
        started = await self._starter.start(
            lambda fd: worker_command(self._config, worker, fd),
            self._environment,
            limit=partial(apply_limits, self._config),
            open_memory=self._open_memory,
        )
        process = started.watch()
        ends = PipeEnds(started.stdout, started.stdin)
        link = PipeLink(ends, self._config.max_frame_bytes, self.secrets)
        stderr = Output(started.stderr, self.secrets, log_lines_of(worker))
        return Launched(process, link, stderr, generation, started.memory)

    def _open_memory(self) -> Memory | None:
        """A foreign executable has no use for it."""
        return new_memory(self._config.max_frame_bytes) if self._config.argv is None else None

    async def aclose(self) -> None:
        self._starter.close()

    def _new_environment(self) -> dict[str, str]:
        environment = worker_environment(self._config)
        self.secrets.learn_environment(environment)
        return environment

    async def _problems(self, environment: dict[str, str]) -> tuple[str, ...]:
        limits = limit_problems(self._config)
        if self._config.argv is not None:
            return (*limits, *_foreign_problems(self._config, environment))
        return (*limits, *await self._check(environment))

    async def _check(self, environment: dict[str, str]) -> tuple[str, ...]:
        """Run `python -m bridge TARGET --check` and read its report."""
        python = interpreter(self._config)
        try:
            started = await self._starter.start(lambda _: check_command(self._config), environment)
        except OSError as error:
            return (f"interpreter {python!r} cannot be run: {error.strerror}",)
        process = started.watch()
        close_end(started.stdin)
        stdout, stderr = Output(started.stdout, Secrets()), Output(started.stderr, self.secrets)
        try:
            with move_on_after(self._config.start_timeout):
                await asyncio.wait([process.exited])
            if not process.exited.done():
                return (f"interpreter {python!r} did not finish its check in time",)
        finally:
            process.kill()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([process.exited])
            stdout.close()
            stderr.close()
        return self._read_report(stdout.tail(), stderr.tail())

    def _read_report(self, stdout: str, stderr: str) -> tuple[str, ...]:
        try:
            return tuple(msgspec.json.decode(stdout, type=_CheckReport).problems)
        except (msgspec.DecodeError, RecursionError):
            python = interpreter(self._config)
            said = stderr.strip() or excerpt(self.secrets, stdout.strip()) or "it said nothing"
            hint = "is bridgepool installed for it?"
            text = f"interpreter {python!r} cannot run `python -m bridge` ({hint}): {said[-2000:]}"
            return (text,)


def _foreign_problems(config: PoolConfig, environment: dict[str, str]) -> list[str]:
    assert config.argv is not None
    executable = config.argv[0]
    problems = [
        f"environment variable {name!r} is not set"
        for name in config.requires_env
        if not environment.get(name)
    ]
    if shutil.which(executable, path=environment.get("PATH")) is None:
        problems.append(f"executable {executable!r} is not there or cannot be executed")
    return problems
