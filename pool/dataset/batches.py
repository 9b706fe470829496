"""Many calls of one command together, in as few frames as may be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy
from typing import Any

from msgspec import structs

from bridge.messages.memory.large import SESSION, large_members
from pool.dataset.batch import FATAL, BatchCall, Failed, nothing_told, outcomes_of, prepare_batch
from pool.dataset.batching import MOST_BYTES, BatchSize
from pool.dispatch import run_until_done
from pool.errors import PoolError, PoolSaturated, RequestError
from pool.exchange.calls import encode_args
from pool.retries import RetryRule
from pool.supervisor import Supervisor
from pool.timeouts import Deadline

Single = Callable[[object], Awaitable[Any]]
"""Makes the call for an item alone, and returns its result or `Failed`."""


def may_be_together(items: list[object]) -> bool:
    """Whether the calls may be in one frame: not what is large, nor what names its session."""
    return not any(map(large_members, items)) and not any(map(_names_session, items))


def _names_session(item: object) -> bool:
    return SESSION in item if isinstance(item, dict) else hasattr(item, SESSION)


class Batches:
    """Calls of one command; `size` is how many go into a frame."""

    def __init__(
        self,
        supervisor: Supervisor,
        command: str,
        allowed: float | None,
        result_type: Any,
        rule: RetryRule,
    ) -> None:
        self.size = BatchSize()
        self._supervisor = supervisor
        self._command = command
        self._allowed = allowed
        self._type = result_type
        self._rule = rule
        # What else is in a frame, news of sessions above all, takes a part of it.
        self._most_bytes = min(MOST_BYTES, supervisor.config.max_frame_bytes // 2)

    def sample(self) -> None:
        """A call has been made alone: what it took tells how many fit into a frame."""
        seconds = self._supervisor.ledger.times.mean(self._command)
        if seconds is not None:
            self.size.took(1, seconds)

    async def outcomes(self, items: list[object], single: Single) -> list[Any]:
        """What came of the calls for these items, in their order.

        Those of which nothing is known because a worker was lost are made
        again alone, by `single`, if they are idempotent.
        """
        encoded, refused = self._encode(items)
        sent = [item for place, item in enumerate(items) if place not in refused]
        outcomes = await self._in_batches(sent, encoded, single)
        for place, failed in refused.items():
            outcomes.insert(place, failed)
        return outcomes

    def _encode(self, items: list[object]) -> tuple[list[bytes], dict[int, Failed]]:
        """The arguments of a batch, and by their places those that cannot be sent."""
        with suppress(RequestError):  # nearly always all can
            return [encode_args(self._command, item) for item in items], {}
        encoded, refused = [], {}
        for place, item in enumerate(items):
            try:
                encoded.append(encode_args(self._command, item))
            except RequestError as error:
                refused[place] = Failed(error)
        return encoded, refused

    async def _in_batches(
        self, items: list[object], encoded: list[bytes], single: Single
    ) -> list[Any]:
        outcomes: list[Any] = []
        while len(outcomes) < len(items):
            part = _first_bytes(encoded, len(outcomes), self._most_bytes)
            done = await self._batch(part)
            outcomes += done
            if len(done) < len(part):
                rest = items[len(outcomes) :]
                return outcomes + [await single(item) for item in rest]
        return outcomes

    async def _batch(self, encoded: list[bytes]) -> list[Any]:
        """What came of a batch, or of the first of it: what is missing may be called again."""
        prepared = prepare_batch(self._command, encoded)
        calls: list[BatchCall] = []

        def make(*given: Any) -> BatchCall:
            calls.append(BatchCall(*given))
            return calls[-1]

        supervisor = self._supervisor
        now = supervisor.clock.now()
        deadline = Deadline.after(now, self._allowed)
        replies: list[Any] = []
        missing: PoolError | None = None
        try:
            with supervisor.guarding_many(self._command) as traced:
                if traced is not None:
                    prepared = structs.replace(prepared, traced=traced)
                once = RetryRule(idempotent=False, attempts=self._rule.attempts)
                replies = [await run_until_done(supervisor, prepared, deadline, once, now, make)]
                failed = (calls[-1].counts or {}).get("error")
                if traced is not None and failed:
                    traced.failed(failed)
        except PoolSaturated as error:
            await asyncio.sleep(error.retry_after)
            return []
        except FATAL:
            raise
        except PoolError as error:
            missing = error
        # The next lane's batch goes out before this one's results are read.
        await asyncio.sleep(0)
        parts = calls[-1].parts if calls else []
        told = outcomes_of([*parts, *replies], prepared, self._type, supervisor.secrets)
        self._note(told)
        if missing is None and calls:
            self.size.took(len(encoded), calls[-1].seconds)
            missing = nothing_told(prepared, replies[0], supervisor.secrets)
        if self._rule.idempotent or missing is None:
            return told
        return told + [Failed(copy(missing)) for _ in encoded[len(told) :]]

    def _note(self, outcomes: list[Any]) -> None:
        """Tell the breaker, if there is one."""
        guard = self._supervisor.guard
        if guard is not None:
            for outcome in outcomes:
                guard.note(self._command, outcome.error if type(outcome) is Failed else None)


def _first_bytes(encoded: list[bytes], start: int, most: int) -> list[bytes]:
    """As many from `start` on as go into one batch, but one at least."""
    size, end = 0, start
    while end < len(encoded) and (end == start or size + len(encoded[end]) < most):
        size += len(encoded[end]) + 1  # a comma
        end += 1
    return encoded[start:end]
