"""When a worker may be started again after failed starts. Pure: time is an argument.

Only failed starts count: a worker that ended before it was ready, or within
`EARLY_LOSS` of ready without finishing a call. Any other lost worker is
replaced at once and resets the back-off.
"""

from __future__ import annotations

from collections import deque
from random import Random

from pool.errors import WorkerError, WorkerStartError

EARLY_LOSS = 1.0
"""Seconds after ready within which a loss without a finished call is a failed start."""

FIRST_DELAY = 0.1
MAX_DELAY = 10.0
"""Seconds: the back-off doubles from the first to the second, "full jitter" on its upper half
(after the AWS Architecture Blog, "Exponential Backoff And Jitter", 2015)."""

COOL_DOWN = 10.0
"""Seconds for which a pool in a crash loop refuses work before one start probes it."""


class RestartPolicy:
    """Growing, jittered back-off, and the crash-loop rule.

    No start may begin before the instant `not_before`. `failed_at` and
    `last_cause` are of the last failed start, None if all is well.
    """

    def __init__(self, max_restarts: int, window: float, random: Random) -> None:
        self._max_restarts = max_restarts
        self._window = window
        self._random = random
        self._failures: deque[float] = deque()
        self._in_a_row = 0
        self._first_cause: WorkerError | None = None
        self._looping = False
        self.not_before = 0.0
        self.failed_at: float | None = None
        self.last_cause: WorkerError | None = None

    @property
    def in_crash_loop(self) -> bool:
        return self._looping

    def failed(self, now: float, cause: WorkerError) -> None:
        """A start failed at `now`."""
        self.last_cause = cause
        self.failed_at = now
        self._first_cause = self._first_cause or cause
        self._failures.append(now)
        self._in_a_row += 1
        if self.restarts_in_window(now) > self._max_restarts:
            self._looping = True
        delay = COOL_DOWN if self._looping else self._back_off()
        self.not_before = max(self.not_before, now + delay)

    def succeeded(self) -> None:
        """A worker proved itself: by a finished call, or by living longer than `EARLY_LOSS`."""
        self._failures.clear()
        self._in_a_row = 0
        self.not_before = 0.0
        self.failed_at = None
        self._first_cause = self.last_cause = None
        self._looping = False

    @property
    def at_most(self) -> int | None:
        """How many may start at a time: after a failure only one; None is no limit."""
        return 1 if self._in_a_row else None

    def restarts_in_window(self, now: float) -> int:
        """Failed starts within the last `window` seconds."""
        while self._failures and self._failures[0] <= now - self._window:
            self._failures.popleft()
        return len(self._failures)

    def refusal(self, pool: str, now: float) -> WorkerStartError:
        """Why a pool in a crash loop refuses work: its first cause, and when it tries again."""
        cause = self._first_cause
        assert cause is not None
        error = WorkerStartError(
            f"{pool}: crash loop, over {self._max_restarts} failed starts in {self._window:g} s; "
            f"the next try is in {max(0.0, self.not_before - now):.1f} s. First cause: {cause}",
            worker=cause.worker,
            pid=cause.pid,
            returncode=cause.returncode,
            stderr_tail=cause.stderr_tail,
        )
        error.__cause__ = cause
        return error

    def _back_off(self) -> float:
        delay = min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(self._in_a_row - 1, 30))
        return delay * self._random.uniform(0.5, 1.0)
