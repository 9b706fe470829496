"""How long slots are held and calls take, and what that means for who waits. Pure."""

from __future__ import annotations

MAX_COMMANDS = 1_000
"""Commands whose times are kept; what is beyond has none."""

GAIN = 1 / 16
"""Weight of a new sample in the mean of how long slots are held."""

CALL_GAIN = 1 / 8
DEVIATION_GAIN = 1 / 4
DEVIATIONS = 4
"""Smoothed mean and mean deviation, and how many of these to allow for: RFC 6298, section 2."""


class CallTime:
    """The smoothed duration of one command's calls, in seconds."""

    __slots__ = ("deviation", "mean")

    def __init__(self, first: float) -> None:
        self.mean = first
        self.deviation = first / 2

    def add(self, seconds: float) -> None:
        """One more call took so long."""
        self.deviation += DEVIATION_GAIN * (abs(seconds - self.mean) - self.deviation)
        self.mean += CALL_GAIN * (seconds - self.mean)

    @property
    def allowance(self) -> float:
        """Seconds within which nearly every call of it ends."""
        return self.mean + DEVIATIONS * self.deviation


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
            times.add(seconds)
        elif len(self._calls) < MAX_COMMANDS:
            self._calls[command] = CallTime(seconds)

    def allowance(self, command: str | None) -> float:
        """Seconds to allow for a call of the command; None is no call."""
        times = None if command is None else self._calls.get(command)
        return 0.0 if times is None else times.allowance

    def wait(self, ahead: int, slots: int) -> float:
        """Seconds until a slot is free for who has `ahead` others before it, on average.

        The mean time a slot is held, times the turns that the queue takes.
        """
        return (self.mean_held or 0.0) * (ahead + 1) / max(1, slots)
