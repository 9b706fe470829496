"""A pool's way from new to closed. Pure."""

from __future__ import annotations

from pool.lifecycle import POOL, PoolEvent, PoolState, advance


class Life:
    """The pool's state, and how its end is to come about.

    `queue_is_shut` says that nobody may wait any more, `is_hurried` that what
    runs is not waited for, `is_terminated` that no worker is asked first.
    `hurry_at` is the instant at which a pool that closes becomes hurried.
    """

    def __init__(self) -> None:
        self.state = PoolState.NEW
        self.queue_is_shut = False
        self.is_hurried = False
        self.is_terminated = False
        self.hurry_at: float | None = None

    @property
    def state(self) -> PoolState:
        return self._state

    @state.setter
    def state(self, state: PoolState) -> None:
        self._state = state
        # Plain attributes: each call asks for them.
        self.takes_work = state is PoolState.OPEN
        self.is_draining = state is PoolState.DRAINING

    @property
    def may_grow(self) -> bool:
        """Whether workers may still be added: neither draining nor closed."""
        return self.state in (PoolState.OPEN, PoolState.FAILED)

    @property
    def is_closed(self) -> bool:
        return self.state is PoolState.CLOSED

    def open(self) -> None:
        """Take work from here on."""
        self.state = advance(POOL, self.state, PoolEvent.OPEN)

    def fail(self) -> None:
        """Refuse work, in a crash loop."""
        if self.state is PoolState.OPEN:
            self.state = advance(POOL, self.state, PoolEvent.CRASH_LOOP)

    def probe(self) -> None:
        """Take work again after a crash loop, to see how things are."""
        if self.state is PoolState.FAILED:
            self.state = advance(POOL, self.state, PoolEvent.PROBE)

    def drain(self) -> None:
        """Take no new work."""
        self.state = advance(POOL, self.state, PoolEvent.DRAIN)

    def shut(self, hurry_at: float) -> None:
        """`drain`, but nobody waits any longer, and what runs only until `hurry_at`."""
        self.drain()
        self.queue_is_shut = True
        self.hurry_at = hurry_at if self.hurry_at is None else self.hurry_at

    def terminate(self) -> None:
        """`drain`, but nothing is waited for."""
        self.drain()
        self.queue_is_shut = self.is_hurried = self.is_terminated = True

    def close(self) -> None:
        """No worker is left."""
        self.drain()
        self.state = advance(POOL, self.state, PoolEvent.CLOSE)

    def tick(self, now: float) -> None:
        """Take note of the time."""
        if self.hurry_at is not None and now >= self.hurry_at:
            self.is_hurried = True
