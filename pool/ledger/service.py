"""How long slots are held and calls take, and what that means for who waits. Pure."""

from __future__ import annotations

from pool.timeouts import Deadline

MAX_COMMANDS = 1_000
"""Commands whose times are kept; what is beyond has none."""

GAIN = 1 / 16
"""Weight of a new sample in the mean of how long slots are held."""

CALL_GAIN = 1 / 8
DEVIATION_GAIN = 1 / 4
"""Weights of a new sample in a command's mean and its mean deviation: RFC 6298, section 2."""

MARGIN = 1.25
"""How much longer than estimated a queue may take: who is let in is to be served in time,
though the estimate is a mean."""

MOST = 0.5
"""Share of a call's time that is kept for the call itself at most, whatever its mean says."""


class CallTime:
    """The smoothed duration of one command's calls, in seconds."""

    __slots__ = ("deviation", "mean")

    def __init__(self, first: float) -> None:
        self.mean = first
        self.deviation = first / 2

    @property
    def allowance(self) -> float:
        """Seconds within which most calls of it end."""
        return self.mean + self.deviation


class ServiceTimes:
    """Measured service times of one pool; 0 where nothing was measured yet."""

    def __init__(self) -> None:
        self.mean_held: float | None = None
        self._calls: dict[str, CallTime] = {}

    def held(self, seconds: float) -> None:
        """A slot was given back after so long."""
        if self.mean_held is None:
            self.mean_held = seconds
        else:
            self.mean_held += GAIN * (seconds - self.mean_held)

    def called(self, command: str, seconds: float) -> None:
        """A call was answered after so long."""
        times = self._calls.get(command)
        if times is not None:
            off = seconds - times.mean
            times.mean += CALL_GAIN * off
            times.deviation += DEVIATION_GAIN * ((off if off > 0 else -off) - times.deviation)
        elif len(self._calls) < MAX_COMMANDS:
            self._calls[command] = CallTime(seconds)

    def mean(self, command: str) -> float | None:
        """How long a call of the command takes once it is sent; None if that is not known."""
        times = self._calls.get(command)
        return None if times is None else times.mean

    def latest_start(self, command: str, deadline: Deadline) -> Deadline:
        """Until when a call of the command must have begun to be likely to meet its deadline."""
        times = self._calls.get(command)
        if times is None or deadline.at is None or deadline.allowed is None:
            return deadline
        kept = min(times.allowance, MOST * deadline.allowed)
        return Deadline(deadline.at - kept, deadline.allowed)

    def wait(self, ahead: int, slots: int) -> float:
        """Seconds until a slot is free for who has `ahead` others before it, on average.

        The mean time a slot is held, times the turns that the queue takes.
        """
        return (self.mean_held or 0.0) * (ahead + 1) / max(1, slots)
