"""How worker processes come to be: one Protocol, one launcher for each start method."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Process(Protocol):
    """A child process, watched by itself alone: no `waitpid(-1)`, no SIGCHLD."""

    @property
    def pid(self) -> int: ...

    @property
    def exited(self) -> asyncio.Future[int | None]:
        """Done when the process is reaped: its return code, negative for a signal."""
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

    def write(self, frame: bytes) -> None:
        """Send a frame; never blocks, never raises."""
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
    """A child that has been started and not yet spoken to."""

    process: Process
    link: Link
    stderr: Stderr


class Launcher(Protocol):
    """Starts workers one way or another."""

    async def validate(self) -> tuple[str, ...]:
        """Return what is wrong with the environment, a sentence each; nothing if it is fit."""
        ...

    async def launch(self, worker: str) -> Launched:
        """Start a process for the worker of that name; raise `OSError` if that is impossible.

        Cancelled, it leaves no process and no descriptor behind.
        """
        ...

    def close(self) -> None:
        """Give up what is shared between launches."""
        ...
