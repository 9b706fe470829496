"""A launcher whose children are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from bridge.frames import DEFAULT_MAX_FRAME_BYTES
from bridge.messages.secrets import Secrets
from pool.config import StartMethod
from pool.exchange.link import PipeLink
from pool.launch import Launched
from pool.testing.child import Child
from pool.testing.process import ScriptedEnds
from pool.testing.script import Script
from pool.testing.world import World

FIRST_PID = 5_000_000
"""Above any number that Linux gives to a process (PID_MAX_LIMIT is 2**22)."""

Problems = Sequence[str]


@dataclass(eq=False, slots=True)
class _Template:
    """What a generation of children is forked from."""

    children: list[Child] = field(default_factory=list)
    is_lost: bool = False


class ScriptedLauncher:
    """Starts scripted children where a pool would start processes.

    `make_script` is called for each of them. `validations` are what the
    validations of the environment come to, one after the other: the problems,
    none if it is fit, or an exception to raise; each takes `validation_time`
    seconds, and those beyond the list find nothing wrong. With a `seed` it is
    drawn how soon things are noticed and how what arrives is cut (see `World`).

    `children` are all that were ever started. `generation`, `revert` and
    templates are as with the pool's own launcher of that `start_method`.
    """

    def __init__(
        self,
        make_script: Callable[[], Script],
        *,
        seed: int | None = None,
        start_method: StartMethod = "spawn",
        validations: Iterable[Problems | Exception] = (),
        validation_time: float = 0.0,
        lag: float = 0.001,
        cuts: float = 0.1,
    ) -> None:
        self.start_method: str = start_method
        self.generation = 0
        self.children: list[Child] = []
        self.is_closed = False
        self.max_frame_bytes = DEFAULT_MAX_FRAME_BYTES
        self.secrets = Secrets()
        self._make_script = make_script
        self._world = World(None if seed is None else Random(seed), lag, cuts)
        self._validations = iter(validations)
        self._validation_time = validation_time
        self._template = _Template(is_lost=True)
        self._previous: _Template | None = None
        self._renewing = asyncio.Lock()
        self._launching: list[str] = []

    @property
    def living(self) -> list[Child]:
        """The children that have not ended."""
        return [child for child in self.children if child.is_alive]

    # The Launcher protocol

    async def validate(self) -> tuple[str, ...]:
        async with self._renewing:
            return await self._renew()

    def revert(self) -> None:
        if self._forks and self._previous is not None and not self._previous.is_lost:
            self._template, self._previous = self._previous, None
            self.generation -= 1

    async def launch(self, worker: str) -> Launched:
        with self._under_way(worker):
            script = self._make_script()
            while True:
                template, generation = await self._living_template(), self.generation
                await asyncio.sleep(script.launch_time)
                if not (self._forks and template.is_lost):
                    break
            if script.launch_error is not None:
                raise script.launch_error
            return self._start(worker, script, template, generation)

    async def aclose(self) -> None:
        self.is_closed = True
        await asyncio.sleep(self._world.lag())

    # What a test does and asks

    def lose_template(self) -> None:
        """End the present template: nobody will tell how its children end, which live on."""
        assert self._forks, 'only start_method="forkserver" has a template'
        self._template.is_lost = True
        for child in self._template.children:
            child.process.has_lost_template = True

    def assert_nothing_left(self) -> None:
        """Raise `AssertionError` unless every child has ended and the pool has let go of all."""
        left = [f"{worker} is still being launched" for worker in self._launching]
        left += [] if self.is_closed else ["the launcher was not closed"]
        for child in self.children:
            left += [f"{child.name} (pid {child.pid}) {what}" for what in _left_of(child)]
        assert not left, "\n".join(["left by the pool:", *left])

    # Templates and children

    @property
    def _forks(self) -> bool:
        return self.start_method == "forkserver"

    async def _renew(self) -> tuple[str, ...]:
        await asyncio.sleep(self._validation_time)
        outcome = next(self._validations, ())
        if isinstance(outcome, Exception):
            raise outcome
        if not outcome:
            self.generation += 1
            self._previous, self._template = self._template, _Template()
        return tuple(outcome)

    async def _living_template(self) -> _Template:
        """Start the next one if it is lost, as the pool's own launcher does."""
        if not self._forks or not self._template.is_lost:
            return self._template
        async with self._renewing:
            if self._template.is_lost and (problems := await self._renew()):
                raise ChildProcessError("; ".join(problems))
            return self._template

    @contextmanager
    def _under_way(self, worker: str) -> Iterator[None]:
        assert not self.is_closed, "a launch after the launcher was closed"
        self._launching.append(worker)
        try:
            yield
        finally:
            self._launching.remove(worker)

    def _start(self, worker: str, script: Script, template: _Template, generation: int) -> Launched:
        pid = FIRST_PID + len(self.children)
        child = Child(worker, pid, script, self._world, self.secrets)
        self.children.append(child)
        template.children.append(child)
        child.process.has_lost_template = self._forks and template.is_lost
        ends = ScriptedEnds(child.stdin, child.stdout)
        link = PipeLink(ends, self.max_frame_bytes, self.secrets)
        return Launched(child.process, link, child.stderr, generation)


def _left_of(child: Child) -> Iterator[str]:
    if child.is_alive:
        yield "is still alive"
    elif not child.process.exited.done():
        yield "has ended and was not waited for"
    if child.stdin.has_writer:
        yield "has a stdin that was not closed"
    if child.stdout.has_reader:
        yield "has a stdout that was not closed"
    if not child.stderr.is_closed:
        yield "has a stderr that was not closed"
