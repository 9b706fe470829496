"""What scripted children may do wrong, and how likely it is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random
from typing import Self

START = (
    "launch_fails",
    "launch_is_slow",
    "slow_start",
    "never_ready",
    "exits_at_start",
    "start_fails",
)
"""The vices of a child's start: it has one of them at most."""

CHARACTER = (
    "ignores_shutdown",
    "only_acknowledges",
    "ignores_end_of_file",
    "ignores_sigterm",
    "slow_exit",
    "slow_reap",
    "leaves_grandchild",
    "dies_idle",
    "is_stopped",
    "ignores_cancel",
    "answers_cancelled",
    "slow_cancel",
    "any_order",
    "defines",
)
"""The vices of a child as such: it may have any of them."""

CALL = (
    "dies_on_reading",
    "dies_running",
    "dies_half_way",
    "dies_after",
    "never_answers",
    "answers_late",
    "answers_twice",
    "wrong_id",
    "garbage",
    "oversized",
    "closes_stdout",
    "closes_stdin",
    "stops_reading",
    "error_in_success",
    "bare_result",
    "ignores_credit",
    "item_after_reply",
    "item_of_nothing",
    "too_few_results",
    "too_many_results",
    "senseless_failures",
)
"""The vices of a call, or of a ping: it has one of them at most. Some are nothing but to a stream,
or to a batch."""


@dataclass(frozen=True, kw_only=True)
class Vices:
    """A probability from 0 to 1 for each; by default some misbehaviour of every kind.

    Raises `ValueError` for what is no probability, and if those of a start, or
    of a call, of which there is one at most, add up to more than 1.
    """

    # of a start
    launch_fails: float = 0.02
    """There is no process: `OSError`."""
    launch_is_slow: float = 0.05
    """As when a template must first import the bridge."""
    slow_start: float = 0.05
    never_ready: float = 0.02
    """It runs, and never answers the handshake."""
    exits_at_start: float = 0.03
    """With an exit status or by a signal, before it is ready."""
    start_fails: float = 0.02
    """It says so; then it exits, or stays."""

    # of a child as such
    ignores_shutdown: float = 0.05
    only_acknowledges: float = 0.05
    """It answers `shutdown` and stays."""
    ignores_end_of_file: float = 0.05
    ignores_sigterm: float = 0.05
    slow_exit: float = 0.05
    """Asked to go, it takes its time."""
    slow_reap: float = 0.05
    """Its end is reported up to a second after its pipes are closed."""
    leaves_grandchild: float = 0.05
    """Its pipes are open until its end is reported."""
    dies_idle: float = 0.05
    is_stopped: float = 0.05
    """For a while, whatever it is at."""
    ignores_cancel: float = 0.05
    """A call that was given up runs to its end."""
    answers_cancelled: float = 0.05
    """It is answered at once, as if it were done."""
    slow_cancel: float = 0.05
    """It takes its time to end."""
    any_order: float = 0.2
    """Calls take now longer, now shorter; no vice at all."""
    defines: float = 0.2
    """It has the capability "define", and its replies define and forget; no vice at all."""

    # of a call
    dies_on_reading: float = 0.01
    dies_running: float = 0.01
    dies_half_way: float = 0.01
    """In the middle of its reply."""
    dies_after: float = 0.01
    """Right after its reply."""
    never_answers: float = 0.01
    answers_late: float = 0.03
    answers_twice: float = 0.01
    wrong_id: float = 0.01
    """It answers another call first, one that is answered already or was never made."""
    garbage: float = 0.01
    """Bytes that are no frame, or a frame that is no reply."""
    oversized: float = 0.01
    """It announces a frame of 4 GiB."""
    closes_stdout: float = 0.01
    closes_stdin: float = 0.01
    stops_reading: float = 0.01
    """It neither reads nor answers any more."""
    error_in_success: float = 0.01
    """`success: true`, and the result is `{"error": ...}`."""
    bare_result: float = 0.01
    """A result that is no object."""
    ignores_credit: float = 0.01
    """It sends all items of a stream at once."""
    item_after_reply: float = 0.01
    """An item of a call that has its reply."""
    item_of_nothing: float = 0.01
    """An item of a call that was never made."""
    too_few_results: float = 0.01
    too_many_results: float = 0.01
    """Of a batch."""
    senseless_failures: float = 0.01
    """Of a batch; not what failures look like."""

    def __post_init__(self) -> None:
        for item in fields(self):
            chance = getattr(self, item.name)
            if not 0.0 <= chance <= 1.0:
                raise ValueError(f"Vices: {item.name}={chance!r} is no probability")
        for group in (START, CALL):
            if sum(getattr(self, name) for name in group) > 1.0 + 1e-9:
                raise ValueError(f"Vices: {', '.join(group)} add up to more than 1")

    @classmethod
    def only(cls, **chances: float) -> Self:
        """Return these vices, and no other; `only()` is none at all."""
        return cls(**{**dict.fromkeys((item.name for item in fields(cls)), 0.0), **chances})

    def draw_some(self, random: Random, group: tuple[str, ...]) -> frozenset[str]:
        """Return any number of vices of the group."""
        return frozenset(name for name in group if random.random() < getattr(self, name))

    def draw_one(self, random: Random, group: tuple[str, ...]) -> str | None:
        """Return one vice of the group, or none."""
        point = random.random()
        for name in group:
            point -= getattr(self, name)
            if point < 0.0:
                return name
        return None
