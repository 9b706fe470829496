"""How soon after a kill a worker that is new has taken a call."""

from __future__ import annotations


class Replacements:
    """Told every kill and every call, with the instant of each in seconds on one clock."""

    def __init__(self) -> None:
        self.gaps_ms: list[float] = []
        self._known: set[int] = set()
        self._killed_at: float | None = None

    def killed(self, now: float) -> None:
        self._killed_at = now

    def served(self, pid: int, taken: float) -> bool:
        """Whether this call is the first that a new worker took since the last kill.

        Only the first counts: a pool may start all its workers again.
        """
        if pid in self._known:
            return False
        self._known.add(pid)
        killed = self._killed_at
        if killed is None or taken <= killed:
            return False
        self._killed_at = None
        self.gaps_ms.append((taken - killed) * 1000)
        return True
