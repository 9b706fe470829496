"""A call in flight: what has been asked, and the reply that its caller awaits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Generator
from typing import Any

from bridge.messages import Reply
from pool.exchange.calls import Prepared
from pool.exchange.wait import Wait
from pool.slots import Slot

NEVER = math.inf


class Call(Wait[Reply]):
    """A request that was sent, and its reply to come.

    A caller's call has a `slot`; the pool's own requests have none. `sent_at` is
    the instant at which it was written, `allowed` the seconds it may take, `until`
    the instant at which somebody has to look after it if it is still unanswered.
    `seconds` is how long the reply took, and `waited` how long its checkout did,
    if it is the first one of that, `is_alone` whether it is the only one. `counts` is, of
    a batch that has ended, how many of its calls ended how.
    `response_bytes` is the size of its reply, and `items_seen` counts what came ahead
    of that. It is `given_up` when its caller
    is gone and a late reply is still waited for.
    """

    given_up = False
    is_typical = True
    """Whether the time it takes says something about other calls of its command."""
    sent_at = 0.0
    until = NEVER
    allowed: float | None = None
    ends_at = 0
    seconds = 0.0
    waited: float | None = None
    is_alone = False
    counts: dict[str, int] | None = None
    response_bytes = 0
    items_seen = 0

    def __init__(
        self,
        call_id: int,
        prepared: Prepared,
        slot: Slot[Any] | None,
        loop: asyncio.AbstractEventLoop,
        give_up: Callable[[Call], None],
    ) -> None:
        # Without a call of the base's: each call comes through here.
        self._loop = loop
        self.id = call_id
        self.prepared = prepared
        self.slot = slot
        self._give_up = give_up

    def __await__(self) -> Generator[Any, None, Reply]:
        """Wait for the reply; a caller that is cancelled meanwhile has given the call up."""
        if not self.is_done:
            self._asyncio_future_blocking = True
            try:
                yield self
            except asyncio.CancelledError:
                self._give_up(self)
                raise
            return self._value  # an error was thrown where it was waited for
        return self.result()

    def take(self, reply: Reply) -> bool:
        """An item has come ahead of the reply; False if it is one too many.

        Who awaits the reply alone wants none, and keeps none.
        """
        return True

    def counted(self, outcome: str, reply: Reply | None) -> dict[str, int]:
        """How many of the calls of a batch ended how, if it ended like this, with this reply."""
        return {outcome: self.prepared.size or 1}

    @property
    def is_waited_for(self) -> bool:
        """Whether a caller still waits for it."""
        return self.slot is not None and not self.is_done
