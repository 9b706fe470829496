"""How worker processes come to be: one Protocol, one launcher for each start method."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bridge.messages.secrets import Secrets
from pool.exchange.large import Memory


class Process(Protocol):
    """A child process, watched by itself alone: no `waitpid(-1)`, no SIGCHLD."""

    @property
    def pid(self) -> int: ...

    @property
    def exited(self) -> asyncio.Future[int | None]:
        """Done when the process is reaped: its return code, negative for a signal.

        None where nobody can tell.
        """
        ...

    @property
    def has_lost_template(self) -> bool:
        """Whether the template it was forked from, which reaps it, is gone."""
        ...

    def ran_out_of_memory(self) -> bool:
        """Whether it was the kernel that killed it, for want of memory.

        To be asked once, of a process that has ended by SIGKILL.
        """
        ...

    async def private_memory(self) -> int | None:
        """Bytes of memory that it shares with no other process; None if nobody can tell."""
        ...

    def terminate(self) -> None:
        """Send SIGTERM to the process, if it is still there."""
        ...

    def kill(self) -> None:
        """Send SIGKILL to the process and its whole group, if they are still there."""
        ...


class Link(Protocol):
    """Frames to and from a child."""

    @property
    def queued(self) -> int:
        """Bytes handed to `write` so far."""
        ...

    @property
    def sent(self) -> int:
        """Bytes of them that have left this process."""
        ...

    def start(
        self,
        on_frame: Callable[[bytes], None],
        on_closed: Callable[[str], None],
        on_nonsense: Callable[[str], None],
    ) -> None:
        """Deliver payloads until `on_closed` is called, once, with the reason in words.

        `on_nonsense` is told, in words, of bytes that cannot be a frame; the
        receiver is expected to close the link.
        """
        ...

    def is_open(self) -> bool:
        """Whether the other end is there, as far as is known without reading."""
        ...

    def pause_reading(self) -> None:
        """Leave what comes in the pipe, so that the child has to wait, until `resume_reading`.

        What has been read is delivered all the same. A child that closes its end
        meanwhile is noticed when reading goes on, or when its process has ended.
        """
        ...

    def resume_reading(self) -> None:
        """Go on after `pause_reading`; without effect otherwise."""
        ...

    def write(self, frame: bytes) -> None:
        """Send a frame; never blocks, never raises."""
        ...

    def write_soon(self, frame: bytes) -> None:
        """`write`, at the end of this turn of the loop, together with what comes until then."""
        ...

    def drain(self) -> None:
        """Deliver what has arrived already, then close."""
        ...

    def close_write(self) -> None:
        """Let the child see end of file once all that was written is sent."""
        ...

    def close(self) -> None:
        """Close both directions; nothing is delivered any more."""
        ...


class Stderr(Protocol):
    """What the child wrote for people."""

    def tail(self) -> str:
        """The last of it."""
        ...

    def close(self) -> None:
        """Take what is there and stop reading."""
        ...


@dataclass(frozen=True, slots=True)
class Launched:
    """A child that has been started and not yet spoken to.

    `generation` counts the validations that succeeded before it was started. `memory` is
    there if the child was given the other end of it.
    """

    process: Process
    link: Link
    stderr: Stderr
    generation: int
    memory: Memory | None = None


class Launcher(Protocol):
    """Starts workers one way or another."""

    @property
    def secrets(self) -> Secrets:
        """What must not be seen in anything that its workers say."""
        ...

    @property
    def generation(self) -> int:
        """Of the workers that it would start now; 0 before the first validation."""
        ...

    @property
    def start_method(self) -> str:
        """How it would start a worker now: "forkserver" or "spawn"."""
        ...

    async def validate(self) -> tuple[str, ...]:
        """Return what is wrong with the environment, a sentence each; nothing if it is fit.

        If it is fit, a new generation begins: workers that are launched from
        here on have the code and the environment of this moment.
        """
        ...

    def revert(self) -> None:
        """Go back to the generation before the present one, if it is still there."""
        ...

    async def launch(self, worker: str) -> Launched:
        """Start a process for the worker of that name; raise `OSError` if that is impossible.

        Cancelled, it leaves no process and no descriptor behind.
        """
        ...

    async def aclose(self) -> None:
        """Give up what is shared between launches, and wait until it is gone."""
        ...
