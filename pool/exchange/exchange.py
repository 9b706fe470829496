"""The calls of one worker: sent, waited for, given up, answered late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from bridge.messages import HANDSHAKE_ID, Reply, changes_in
from bridge.messages.secrets import Secrets
from pool.clock import Clock
from pool.config import PoolConfig
from pool.errors import CallTimeout, LeaseClosed, PoolError
from pool.exchange.calls import Prepared
from pool.exchange.conversation import Conversation
from pool.exchange.feed import WINDOW, Feed
from pool.exchange.inflight import NEVER, Call
from pool.exchange.large import Memory
from pool.exchange.outcomes import outcome_of
from pool.exchange.requests import PING, SHUTDOWN, cancel, catch_up, credit
from pool.launch import Link
from pool.lifecycle import SlotEvent
from pool.sessions import SessionStore
from pool.slots import Slot
from pool.timeouts import Deadline

C = TypeVar("C", bound=Call)


class Party(Protocol):
    """The worker whose calls they are, and through it the pool; told within the step."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    @property
    def is_busy(self) -> bool: ...

    def started(self, reply: Reply) -> None:
        """The handshake is answered."""
        ...

    def answered(self, call: Call, reply: Reply, now: float) -> None:
        """A caller's call has its reply."""
        ...

    def ended(self, call: Call, outcome: str) -> None:
        """A caller's call has ended without a reply, for the caller; its slot is abandoned."""
        ...

    def answered_late(self, call: Call | None) -> None:
        """An answer came that nobody waits for; the slot of `call`, if given, is free again."""
        ...

    def stuck(self) -> None:
        """A call that was given up is unanswered after all the time it was left."""
        ...

    def pinged(self, seconds: float) -> None:
        """A ping is answered."""
        ...

    def ping_overdue(self) -> None:
        """An idle worker has not answered a ping in time."""
        ...

    def nonsense(self, what: str) -> None:
        """The child sent what makes no sense; `what` says it in words."""
        ...


class Exchange:
    """What goes to and fro between the pool and one ready worker."""

    def __init__(
        self,
        link: Link,
        config: PoolConfig,
        sessions: SessionStore,
        secrets: Secrets,
        clock: Clock,
        party: Party,
        memory: Memory | None = None,
    ) -> None:
        self._config = config
        self._sessions = sessions
        self._clock = clock
        self._party = party
        self._seen = sessions.attach()
        self._shares_definitions = False
        self._can_cancel = False
        self.grants_credit = False
        self.talk = Conversation(link, config.max_frame_bytes, secrets, clock, self, memory)
        self.receive = self.talk.receive

    def agree(self, capabilities: list[str]) -> None:
        """Use what the child can do besides answering one call after the other."""
        self._shares_definitions = "define" in capabilities
        self._can_cancel = "cancel" in capabilities
        self.grants_credit = "credit" in capabilities

    # Calls

    def send(
        self,
        slot: Slot[object],
        prepared: Prepared,
        now: float,
        deadline: Deadline,
        make: Callable[..., C],
    ) -> C:
        """Send a call on a lent slot, with what other workers have defined since the last one.

        Await it for the reply. That raises `CallTimeout` at the deadline, a
        `WorkerError` if the worker dies, `LeaseClosed` if the lease ends; timed out
        or cancelled, the caller is free at once and the slot is abandoned. Raises
        `RequestError`, and sends nothing, if what is to be sent is too large.
        """
        if self._shares_definitions:
            call = self._send_with_news(slot, prepared, now, make)
        else:
            call = self.talk.send(prepared, slot, make=make)
        call.sent_at = now
        if deadline.at is not None:
            call.allowed = deadline.allowed
            self.talk.watch(call, deadline.at)
        return call

    def _send_with_news(
        self, slot: Slot[object], prepared: Prepared, now: float, make: Callable[..., C]
    ) -> C:
        session = prepared.session
        news = self._sessions.news(session, self._seen, now)
        *earlier, last = news.portions(self._config.max_frame_bytes // 4)
        for portion in earlier:
            self.talk.send(catch_up(session), None, portion)
        call = self.talk.send(prepared, slot, last, make)
        self._sessions.told(session, self._seen)
        return call

    def expect(self, call: Call, seconds: float | None) -> None:
        """Let it time out in so many seconds from now, and not before; None is never."""
        if call.given_up:
            return  # it is watched for its late reply
        if seconds is None:
            call.until = NEVER
        else:
            self.talk.watch(call, self._clock.now() + seconds)

    def took(self, feed: Feed, items: int) -> None:
        """So many items more of a stream were taken: as many may come."""
        if not self.grants_credit:
            if 2 * len(feed.items) <= WINDOW:
                self.talk.resume_reading()
        elif self.talk.is_pending(feed):
            self.talk.tell(credit(feed.id, items))

    def end(self, call: Call) -> bool:
        """Fail a call whose lease is over; False if it was answered already."""
        self.talk.resume_reading()
        if not self.talk.is_pending(call):
            return False
        self._give_up(call, LeaseClosed(f"the lease of {self._party.name} ended with a call on it"))
        return True

    def leave(self, feed: Feed) -> None:
        """Nobody reads a stream any more: give it up, unless it is answered."""
        self.talk.resume_reading()
        self._give_up(feed, LeaseClosed("the stream is over: its block was left"))

    def _give_up(self, call: Call, error: PoolError | None = None) -> None:
        """Abandon the slot of a call that has no reply yet; a late one frees it again."""
        if call.given_up or call.slot is None or not self.talk.is_pending(call):
            return
        call.given_up = True
        if self._can_cancel:
            self.talk.tell(cancel(call.id))
        self.talk.watch(call, self._clock.now() + self._config.late_reply_timeout)
        if error is not None and not call.is_done:
            call.fail(error)
        call.slot.advance(SlotEvent.ABANDON)
        self._party.ended(call, "cancelled" if error is None else outcome_of(error))

    # The pool's own requests

    def shake_hands(self, prepared: Prepared) -> None:
        """Send the first request; the party is told of the answer."""
        self.talk.send(prepared)

    def ping(self) -> None:
        """See whether an idle worker answers."""
        ping: Call = self.talk.send(PING)
        ping.sent_at = self._clock.now()
        self._expect(ping)

    def _expect(self, ping: Call) -> None:
        self.talk.watch(ping, self._clock.now() + self._config.ping_timeout)

    def ask_to_end(self) -> None:
        """Have the process acknowledge and exit."""
        self.talk.send(SHUTDOWN)

    # What the conversation says (the Partner protocol)

    def answered(self, call: Call, reply: Reply) -> None:
        now = self._clock.now()
        if self._shares_definitions:
            self._learn(call.prepared.session, reply, now)
        if call.given_up:
            self._party.answered_late(call)
        elif call.slot is not None:
            self._party.answered(call, reply, now)
        elif call.id == HANDSHAKE_ID:
            self._party.started(reply)
        elif call.prepared is PING:
            self._party.pinged(now - call.sent_at)

    def _learn(self, session: str, reply: Reply, now: float) -> None:
        try:
            changes = changes_in(reply)
        except ValueError as error:
            self._party.nonsense(f"it defined or forgot something that makes no sense: {error}")
            return
        if changes is not None:
            self._sessions.learn(session, self._seen, changes, now)

    def given_up(self, call: Call) -> None:
        self._give_up(call)

    def flooded(self, call: Call) -> None:
        if isinstance(call, Feed) and not self.grants_credit:
            # It has this one call, and cannot be told to wait otherwise.
            self.talk.pause_reading()
        else:
            self._party.nonsense(f"it sent more for {call.prepared.command!r} than it may")

    def overdue(self, call: Call) -> None:
        if call.slot is None:
            self._ping_overdue(call)
        elif call.given_up:
            self._party.stuck()
        else:
            self._give_up(call, self._timed_out(call))

    def _ping_overdue(self, ping: Call) -> None:
        if self._party.is_busy:
            # Alive under its call's own deadline; the ping is answered behind that call.
            self._expect(ping)
        else:
            self._party.ping_overdue()

    def _timed_out(self, call: Call) -> CallTimeout:
        name, pid, late = self._party.name, self._party.pid, self._config.late_reply_timeout
        return CallTimeout(
            f"{name} (pid {pid}): {call.prepared.command!r} did not answer within "
            f"{call.allowed:.3g} s; the worker is given {late:g} s for a late reply. "
            "Raise the call's timeout if it needs longer"
        )

    def stray(self) -> None:
        self._party.answered_late(None)

    def nonsense(self, what: str) -> None:
        self._party.nonsense(what)

    # The end

    def close(self, loss: Callable[[Call, bool], PoolError]) -> None:
        """The worker is gone: fail each call with its `loss`, given whether it was sent whole."""
        self._sessions.detach(self._seen)
        for call in self.talk.close():
            outcome = "cancelled"  # in this very moment, unless it has an outcome or gets one
            if not call.is_done:
                error = loss(call, self.talk.was_sent(call))
                call.fail(error)
                outcome = outcome_of(error)
            if call.slot is not None and not call.given_up:
                self._party.ended(call, outcome)
