"""A child of either kind, real or scripted, and all that its link and its process tell."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bridge.messages.secrets import Secrets
from pool.exchange.ends import PipeEnds
from pool.exchange.link import PipeLink
from pool.launch import Launched
from pool.launch.starter import Starter
from pool.testing import Script, ScriptedLauncher
from pool.testing.pipes import CAPACITY
from pool.worker.output import Output

LIMIT = 4 * CAPACITY
"""The largest frame from the child."""

PRELUDE = """
import os, signal, struct, sys, time
def read_exactly(size):
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece:
            os._exit(0)
        data += piece
    return data
def read():
    return read_exactly(struct.unpack(">I", read_exactly(4))[0])
def write(data):
    while data:
        data = data[os.write(1, data):]
def send(*payloads):
    write(b"".join(struct.pack(">I", len(payload)) + payload for payload in payloads))
"""


class Side:
    """Our side of a child: `told` is what was heard of it, in order."""

    def __init__(self, launched: Launched, stop: Callable[[], None]) -> None:
        self.link, self.process, self.stderr = launched.link, launched.process, launched.stderr
        self.stop = stop
        self.told: list[str] = []
        self.changed = asyncio.Event()

    def start(self) -> None:
        self.link.start(
            lambda payload: self._tell(payload.decode()),
            lambda reason: self._tell(f"closed: {reason}"),
            lambda what: self._tell(f"nonsense: {what}"),
        )

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self.changed.set()

    async def has_told(self, count: int) -> None:
        while len(self.told) < count:
            self.changed.clear()
            await self.changed.wait()

    async def is_closed(self) -> None:
        while not (self.told and self.told[-1].startswith("closed")):
            await self.has_told(len(self.told) + 1)

    async def exit(self) -> int | None:
        return await asyncio.shield(self.process.exited)


@asynccontextmanager
async def real(program: str) -> AsyncIterator[Side]:
    starter = Starter(1)
    command = [sys.executable, "-I", "-S", "-c", PRELUDE + program]
    started = await starter.start(lambda _: command, dict(os.environ))
    process = started.watch()
    secrets = Secrets()
    link = PipeLink(PipeEnds(started.stdout, started.stdin), LIMIT, secrets)
    launched = Launched(process, link, Output(started.stderr, secrets), 0)
    try:
        yield Side(launched, lambda: os.kill(process.pid, signal.SIGSTOP))
    finally:
        await end(launched)
        starter.close()


@asynccontextmanager
async def scripted(make_script: Callable[[], Script], seed: int | None) -> AsyncIterator[Side]:
    launcher = ScriptedLauncher(make_script, seed=seed, cuts=0.5)
    launcher.max_frame_bytes = LIMIT
    launched = await launcher.launch("child")
    try:
        yield Side(launched, launcher.children[0].stop)
    finally:
        await end(launched)
        await launcher.aclose()
        launcher.assert_nothing_left()


async def end(launched: Launched) -> None:
    launched.process.kill()
    await asyncio.wait([launched.process.exited])
    launched.link.close()
    launched.stderr.close()
