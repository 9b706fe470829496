"""What decides how a scripted child behaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pool.testing.child import Child


@dataclass(frozen=True, slots=True)
class Request:
    """What the pool asked; `others` are the members beside id, command and args.

    Its `repr` has neither these nor the arguments, in which there may be secrets.
    """

    id: int
    command: str
    args: dict[str, Any] = field(repr=False)
    others: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def batch(self) -> list[dict[str, Any]] | None:
        """The arguments of each call, if it is many."""
        return self.others.get("batch")

    @property
    def credit(self) -> int | None:
        """How many items of a stream may be sent at first; None is as many as there are."""
        return self.others.get("credit")


@dataclass(frozen=True, slots=True)
class Control:
    """What the pool said about the call of that `id`, without waiting for a reply.

    `command` is "$cancel", or "$credit" for so many `items` more of a stream.
    """

    command: str
    id: int
    items: int = 0


class Script:
    """How one child behaves. As it stands it does nothing at all: override what it should do.

    The methods are called as things happen to the child, never after its end
    and never while it is stopped. Whatever one raises ends a run in virtual time.
    """

    launch_time = 0.0
    """Seconds from the order to start until there is a process."""

    launch_error: OSError | None = None
    """Raised after that time in place of starting a process."""

    def started(self, child: Child) -> None:
        """The process runs."""

    def requested(self, child: Child, request: Request) -> None:
        """The child has read a request; the handshake has id 0 and the command `ping`."""

    def told(self, child: Child, control: Control) -> None:
        """The child has read what has no reply."""

    def end_of_file(self, child: Child) -> None:
        """The pool has closed the child's stdin, and all that was in it is read."""

    def terminated(self, child: Child) -> None:
        """SIGTERM has come; it is ignored if nothing is done here."""
