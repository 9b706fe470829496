"""`start_method="forkserver"`: workers forked from a template, where that is safe."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic

import anyio

from bridge.messages.secrets import Secrets
from bridge.messages.template import Unfit
from pool.config import PoolConfig
from pool.exchange.ends import PipeEnds
from pool.exchange.link import PipeLink
from pool.launch import Launched
from pool.launch.command import interpreter
from pool.launch.descriptors import close_end, open_pipe
from pool.launch.forked import ForkedProcess
from pool.launch.handover import new_memory
from pool.launch.limits import apply_limits, limit_problems
from pool.launch.loading import load_template, start_template
from pool.launch.spawn import SpawnLauncher
from pool.launch.starter import Starter
from pool.launch.template import ForkRefused, Template, TemplateLost
from pool.worker.output import Output, log_lines_of
from pool.worker.timings import TemplateStart

_log = logging.getLogger("bridgepool")

ATTEMPTS = 3
"""Templates that may be lost over one launch, each under its hands, before it fails."""


class ForkLauncher:
    """Keeps a template alive and has it fork workers; spawns them where forking is not safe.

    A template that is lost is followed by another, of the next generation,
    when a worker is to be started; the workers that it made live on.
    """

    def __init__(
        self,
        config: PoolConfig,
        secrets: Secrets,
        on_loaded: Callable[[TemplateStart], None] = lambda _: None,
    ) -> None:
        self.generation = 0
        self._on_loaded = on_loaded
        self.secrets = secrets
        self._config = config
        self._starter = Starter(1)
        self._template: Template | None = None
        self._previous: Template | None = None
        self._templates: set[Template] = set()
        self._fallback: SpawnLauncher | None = None
        self._renewing = asyncio.Lock()
        self._has_warned = False

    @property
    def start_method(self) -> str:
        return "forkserver" if self._fallback is None else "spawn"

    async def validate(self) -> tuple[str, ...]:
        async with self._renewing:
            return await self._renew()

    def revert(self) -> None:
        if self._previous is None or self._previous.is_lost:
            return
        if self._template is not None:
            self._template.retire()
        self._template, self._previous, self._fallback = self._previous, None, None
        self._template.resume()
        self.generation -= 1

    async def launch(self, worker: str) -> Launched:
        for _ in range(ATTEMPTS):
            if self._fallback is not None:
                return await self._spawn(self._fallback, worker)
            try:
                return await self._fork(await self._living_template(), worker)
            except TemplateLost:
                continue
            except ForkRefused as refusal:
                self._fall_back(list(refusal.args))
        raise ChildProcessError(f"{ATTEMPTS} templates were lost over it")

    async def aclose(self) -> None:
        for template in self._templates:
            template.close()
        for template in list(self._templates):
            await template.ended()
        self._starter.close()
        if self._fallback is not None:
            await self._fallback.aclose()

    # Templates

    async def _renew(self) -> tuple[str, ...]:
        """Import the bridge in a new template: that is the validation."""
        began = monotonic()
        try:
            template = await self._start_template()
        except OSError as error:
            return (f"interpreter {interpreter(self._config)!r} cannot be run: {error.strerror}",)
        try:
            answer = await load_template(template, self._config)
        except BaseException:
            template.kill()
            raise
        problems = limit_problems(self._config, template.pid)
        if isinstance(answer, Unfit):
            problems += answer.problems
        elif not problems:
            seconds = monotonic() - began
            self._adopt(template, answer.hazards)
            self._on_loaded(
                TemplateStart(template.name, template.pid, self.generation, seconds, answer.took)
            )
            return ()
        template.close()
        return tuple(problems)

    async def _start_template(self) -> Template:
        name = f"{self._config.pool_name}-template-{self.generation + 1}"
        template = await start_template(self._config, self._starter, name, self.secrets)
        self._templates.add(template)
        template.exited.add_done_callback(lambda _: self._templates.discard(template))
        return template

    def _adopt(self, template: Template, hazards: list[str]) -> None:
        """Start all workers from this template from now on, or spawn them."""
        self.generation += 1
        self._previous, self._template, self._fallback = self._template, template, None
        if self._previous is not None:
            self._previous.retire()
        if hazards:
            self._fall_back(hazards)

    def _fall_back(self, hazards: list[str]) -> None:
        if self._template is not None:
            self._template.retire()
            self._template = None
        if self._fallback is None:
            self._fallback = SpawnLauncher(self._config, self.secrets)
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "%s: workers are spawned, because forking them is not safe: %s",
                self._config.pool_name,
                "; ".join(hazards),
            )

    async def _living_template(self) -> Template:
        """The present template, or the next one; raise `OSError` if there can be none."""
        if self._template is not None and not self._template.is_lost:
            return self._template
        async with self._renewing:
            if self._template is None or self._template.is_lost:
                _log.warning(
                    "%s: the template is gone, the next one starts", self._config.pool_name
                )
                problems = await self._renew()
                if problems:
                    raise ChildProcessError("; ".join(problems))
            if self._template is None:  # what was imported is not safe to fork
                raise TemplateLost
            return self._template

    # Workers

    async def _fork(self, template: Template, worker: str) -> Launched:
        generation = self.generation
        with ExitStack() as theirs, ExitStack() as ours:
            requests_r, requests_w = _open(theirs, ours)
            replies_r, replies_w = _open(ours, theirs)
            stderr_r, stderr_w = _open(ours, theirs)
            line_r, line_w = open_pipe()
            theirs.callback(close_end, line_r)
            memory = new_memory(self._config.max_frame_bytes)
            given = [requests_r, replies_w, stderr_w, line_r]
            if memory is not None:
                ours.callback(memory.close)
                given += memory.fds
            process = await template.fork(worker, given, line_w)
            await self._limit(process)
            ours.pop_all()
        ends = PipeEnds(replies_r, requests_w)
        link = PipeLink(ends, self._config.max_frame_bytes, self.secrets)
        stderr = Output(stderr_r, self.secrets, log_lines_of(worker))
        return Launched(process, link, stderr, generation, memory)

    async def _limit(self, process: ForkedProcess) -> None:
        # Before anything is sent to it, and not in the template: that one needs descriptors and
        # memory for all, what is lowered there cannot be raised again, and it would fork late.
        #
        # The number is the worker's until the template, or its heir, reaps it. The kernel hands
        # numbers out in turn: between this look and the calls that follow it, it would have to
        # come round to the same one for them to meet somebody else. If the worker ends meanwhile,
        # or has, there is nothing to limit, and whoever watches it tells how it ended.
        if process.is_reaped:
            return
        try:
            apply_limits(self._config, process.pid)
        except OSError:
            process.kill()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([process.exited])
            raise

    async def _spawn(self, launcher: SpawnLauncher, worker: str) -> Launched:
        return replace(await launcher.launch(worker), generation=self.generation)


def _open(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed by the stacks of who reads and who writes."""
    reading, writing = open_pipe()
    reader.callback(close_end, reading)
    writer.callback(close_end, writing)
    return reading, writing
