"""`start_method="spawn"` and `argv=`: a fresh process for each worker."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from subprocess import Popen

import anyio
import msgspec

from pool.config import PoolConfig
from pool.launch import Launched
from pool.launch.command import (
    check_command,
    interpreter,
    worker_command,
    worker_environment,
)
from pool.launch.descriptors import close_end, open_pipe
from pool.launch.lifeline import guard
from pool.launch.process import ChildProcess
from pool.link import PipeLink
from pool.output import Output

_stderr_log = logging.getLogger("bridgepool.stderr")


class _CheckReport(msgspec.Struct):
    problems: list[str]


@dataclass(slots=True)
class _Spawned:
    """A new child and our ends of its pipes, until somebody takes them."""

    popen: Popen[bytes]
    stdin: int
    stdout: int
    stderr: int
    lifeline: int

    def abort(self) -> None:
        """Nobody wants the child any more: kill and reap it."""
        self.popen.kill()
        for fd in (self.stdin, self.stdout, self.stderr, self.lifeline):
            close_end(fd)
        self.popen.wait()


class _GuardedProcess(ChildProcess):
    """A child that holds a lifeline, which is let go when it has been reaped."""

    def __init__(self, spawned: _Spawned) -> None:
        super().__init__(spawned.popen)
        self.exited.add_done_callback(lambda _: close_end(spawned.lifeline))


class SpawnLauncher:
    """Starts an interpreter, or a foreign executable, per worker."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._environment = worker_environment(config)
        # Starting a process blocks until its exec: never on the event loop.
        self._threads = ThreadPoolExecutor(config.starts_at_once, "bridgepool-launch")

    async def validate(self) -> tuple[str, ...]:
        if self._config.argv is not None:
            return tuple(self._foreign_problems(self._config.argv[0]))
        return await self._check()

    async def launch(self, worker: str) -> Launched:
        spawned = await self._spawn(lambda fd: worker_command(self._config, worker, fd))
        process = _watch(spawned)
        link = PipeLink(spawned.stdout, spawned.stdin, self._config.max_frame_bytes)
        return Launched(process, link, Output(spawned.stderr, _log_lines_of(worker)))

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _check(self) -> tuple[str, ...]:
        """Run `python -m bridge TARGET --check` and read its report."""
        python = interpreter(self._config)
        try:
            spawned = await self._spawn(lambda _: check_command(self._config))
        except OSError as error:
            return (f"interpreter {python!r} cannot be run: {error.strerror}",)
        process = _watch(spawned)
        close_end(spawned.stdin)
        stdout, stderr = Output(spawned.stdout), Output(spawned.stderr)
        try:
            await asyncio.wait([process.exited], timeout=self._config.start_timeout)
            if not process.exited.done():
                return (f"interpreter {python!r} did not finish its check in time",)
        finally:
            process.kill()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([process.exited])
            stdout.close()
            stderr.close()
        return _read_report(python, stdout.tail(), stderr.tail())

    def _foreign_problems(self, executable: str) -> list[str]:
        problems = [
            f"environment variable {name!r} is not set"
            for name in self._config.requires_env
            if not self._environment.get(name)
        ]
        if shutil.which(executable, path=self._environment.get("PATH")) is None:
            problems.append(f"executable {executable!r} is not there or cannot be executed")
        return problems

    async def _spawn(self, command: Callable[[int], list[str]]) -> _Spawned:
        loop = asyncio.get_running_loop()
        spawning = loop.run_in_executor(self._threads, _spawn, command, self._environment)
        try:
            return await asyncio.shield(spawning)
        except asyncio.CancelledError:
            # The thread cannot be stopped; what it brings is killed when it arrives.
            with anyio.CancelScope(shield=True):
                await asyncio.wait([spawning])
            if spawning.exception() is None:
                spawning.result().abort()
            raise


def _watch(spawned: _Spawned) -> _GuardedProcess:
    try:
        return _GuardedProcess(spawned)
    except BaseException:
        spawned.abort()
        raise


def _spawn(command: Callable[[int], list[str]], environment: dict[str, str]) -> _Spawned:
    """Start a process in a session of its own, with a lifeline; raise `OSError` if impossible."""
    with ExitStack() as undo:
        (stdin_r, stdin_w), (stdout_r, stdout_w), (stderr_r, stderr_w), (line_r, line_w) = (
            _pipe(undo) for _ in range(4)
        )
        popen = Popen(
            command(line_r),
            stdin=stdin_r,
            stdout=stdout_w,
            stderr=stderr_w,
            env=environment,
            pass_fds=(line_r,),
            start_new_session=True,
        )
        undo.callback(popen.wait)
        undo.callback(popen.kill)
        guard(line_r, popen.pid)
        undo.pop_all()
    for fd in (stdin_r, stdout_w, stderr_w, line_r):
        close_end(fd)
    return _Spawned(popen, stdin_w, stdout_r, stderr_r, line_w)


def _pipe(undo: ExitStack) -> tuple[int, int]:
    ends = open_pipe()
    for fd in ends:
        undo.callback(close_end, fd)
    return ends


def _read_report(python: str, stdout: str, stderr: str) -> tuple[str, ...]:
    try:
        return tuple(msgspec.json.decode(stdout, type=_CheckReport).problems)
    except msgspec.DecodeError:
        said = (stderr.strip() or stdout.strip() or "it said nothing")[-2000:]
        hint = "is bridgepool installed for it?"
        return (f"interpreter {python!r} cannot run `python -m bridge` ({hint}): {said}",)


def _log_lines_of(worker: str) -> Callable[[str], None] | None:
    if not _stderr_log.isEnabledFor(logging.INFO):
        return None

    def log(line: str) -> None:
        _stderr_log.info("%s: %s", worker, line, extra={"worker": worker})

    return log
