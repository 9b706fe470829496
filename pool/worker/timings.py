"""How long the start of a worker took, point by point. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.messages.template import LoadTimes


@dataclass(slots=True)
class StartTimes:
    """Seconds.

    `launch` is until its process was there, `imports` what its bridge took to be
    imported in it, `start_up` what the bridge's start-up functions took, `ready`
    all until its handshake was answered.
    """

    launch: float = 0.0
    imports: float = 0.0
    start_up: float = 0.0
    ready: float = 0.0


@dataclass(frozen=True, slots=True)
class TemplateStart:
    """A template that has loaded the bridge for the workers of `generation`.

    `seconds` is from before its process was started until it said so; `took` are parts
    of that, as it tells them itself.
    """

    name: str
    pid: int
    generation: int
    seconds: float
    took: LoadTimes
