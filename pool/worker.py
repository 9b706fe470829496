"""One child from launch to reap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import anyio

from bridge.messages import MAX_ERROR_TEXT, Reply, changes_in
from pool.calls import Prepared
from pool.clock import Clock
from pool.closing import bury, close_politely, exits_by_itself
from pool.config import PoolConfig
from pool.conversation import Call, Conversation
from pool.errors import CallTimeout, LeaseClosed, WorkerError
from pool.launch import Launched, Launcher
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.lifecycle import SlotEvent, WorkerEvent, WorkerState
from pool.postmortem import FAULTS, Remains
from pool.quotes import excerpt
from pool.requests import capabilities, catch_up, handshake, internal
from pool.sessions import NO_NEWS, News, SessionStore
from pool.slots import Slot
from pool.timeouts import Deadline


class Owner(Protocol):
    """Who is told of a worker's changes, within the step in which they happen."""

    def worker_ready(self, worker: Worker) -> None: ...

    def worker_leaves(self, worker: Worker) -> None:
        """It takes no calls from here on."""
        ...

    def call_finished(self, worker: Worker, call: Call) -> None:
        """It answered a call for which somebody waited."""
        ...

    def slot_abandoned(self, slot: Slot[Worker]) -> None:
        """Its caller is gone; it is free again when the late reply comes."""
        ...

    def late_reply(self, slot: Slot[Worker] | None) -> None:
        """An answer came that nobody waits for; the abandoned `slot`, if given, is free again."""
        ...

    def ping_answered(self, worker: Worker) -> None: ...


class Worker(Member):
    """A supervised child. `run` is its whole life; the rest is called meanwhile.

    `error` is what it failed of, unless it was asked to end.
    """

    def __init__(
        self,
        name: str,
        config: PoolConfig,
        term: Term,
        launcher: Launcher,
        sessions: SessionStore,
        clock: Clock,
        owner: Owner,
    ) -> None:
        super().__init__(name, config.concurrency, term, clock.now())
        self.error: WorkerError | None = None
        self._config = config
        self._launcher = launcher
        self._sessions = sessions
        self._clock = clock
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._seen = sessions.attach()
        self._shares_definitions = False
        self._launched: Launched | None = None
        self._starting: anyio.CancelScope | None = None
        self._talk: Conversation | None = None
        self._left: asyncio.Future[None] = self._loop.create_future()
        self._what = ""
        self._garbled = False

    # What others read

    @property
    def pid(self) -> int | None:
        return self._launched.process.pid if self._launched else None

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None before it is reaped."""
        exited = self._launched.process.exited if self._launched else None
        return exited.result() if exited is not None and exited.done() else None

    @property
    def generation(self) -> int | None:
        """Of the code and environment that it was launched with; None before that."""
        return self._launched.generation if self._launched else None

    @property
    def unanswered(self) -> int:
        """Calls without a reply, those included for which nobody waits any more."""
        return self._talk.unanswered if self._talk else 0

    async def private_memory(self) -> int | None:
        """Bytes that its process shares with no other; None if it is not there."""
        return await self._launched.process.private_memory() if self._launched else None

    # Life

    async def run(self) -> None:
        """Launch, hand-shake, serve, close, reap. Raises nothing but cancellation."""
        try:
            await self._start_or_leave()
            await self._left
            if self.state is WorkerState.RETIRING and self._launched is not None:
                await close_politely(self._launched, self._ask_to_end, self._config.grace_period)
        finally:
            # Whatever ends this task, the child is gone before it.
            with anyio.CancelScope(shield=True):
                if self._launched is not None:
                    await self._bury(self._launched)
                self._conclude()

    async def _bury(self, launched: Launched) -> None:
        if not self.reason and not await exits_by_itself(launched):
            self.reason = "protocol"
            self._what += ", and lived on"
        await bury(launched)

    async def _start_or_leave(self) -> None:
        if self.state is not WorkerState.STARTING:
            return
        try:
            await self._start()
        except Exception as error:
            # Whatever it is, it costs this worker and not the pool.
            self.kill("start", f"could not be started: {error!r}")

    async def _start(self) -> None:
        self.launched_at = self._clock.now()
        deadline = Deadline.after(self.launched_at, self._config.start_timeout)
        with self._clock.move_on_at(deadline.at) as self._starting:
            answer = await self._launch()
            await _first_of(answer, self._left)
        if self.state is not WorkerState.STARTING:
            return
        if self._starting.cancelled_caught:
            self.kill("start", f"was not ready within {self._config.start_timeout:g} s")
        else:
            self._finish_handshake(answer.result())

    async def _launch(self) -> asyncio.Future[Reply]:
        """Start the process and send the handshake; return its reply to come."""
        launched = self._launched = await self._launcher.launch(self.name)
        self._talk = Conversation(
            launched.link,
            self._config.max_frame_bytes,
            self._launcher.secrets,
            self._on_reply,
            lambda: self._owner.late_reply(None),
            self._on_nonsense,
        )
        launched.link.start(self._talk.receive, self._on_closed, self._on_nonsense)
        launched.process.exited.add_done_callback(lambda _: launched.link.drain())
        return self._talk.send(handshake(self.name, self._config.options), None).reply

    def _finish_handshake(self, reply: Reply) -> None:
        if not reply.success:
            said = f"{reply.error_type or 'error'}: {reply.error}\n{reply.traceback or ''}"
            self._lose(f"said that its start-up failed: {said.strip()}")
            return
        self._shares_definitions = "define" in capabilities(reply)
        self.handshaken(self._clock.now())
        self._owner.worker_ready(self)

    def _conclude(self) -> None:
        """Settle why it ended, now that everything about it is known, and end every call."""
        self.exited()
        self._sessions.detach(self._seen)
        self.reason = self.reason or self._reason_of_its_own()
        remains, talk = self._remains(), self._talk
        if self.reason in FAULTS and self.ready_at is None:
            self.error = remains.start_error()
        elif self.reason in FAULTS and talk is not None:
            self.error = remains.loss(talk.waited_for(), request_sent=False)
        if talk is not None:
            talk.fail_all(
                lambda call: remains.loss([call.prepared.command], request_sent=talk.was_sent(call))
            )

    def _reason_of_its_own(self) -> str:
        if self.returncode is None and self._launched and self._launched.process.has_lost_template:
            return "template_lost"
        return "signal" if (self.returncode or 0) < 0 else "crash"

    # Leaving service

    def _ask_to_end(self) -> None:
        assert self._talk is not None
        self._talk.send(internal("shutdown"), None)

    def retire(self, reason: str) -> None:
        """Have an idle worker finish and exit."""
        self._leave(WorkerEvent.RETIRE, reason, f"was retired ({reason})")

    def kill(self, reason: str, what: str) -> None:
        """Kill it now, in any state; `what` completes the sentence "the worker ..."."""
        if self.state is WorkerState.EXITED:
            return
        if self.state is WorkerState.RETIRING:
            self._leave(WorkerEvent.KILL, self.reason, what)  # it had its reason to go before
        elif self.state is not WorkerState.KILLING:
            self._leave(WorkerEvent.KILL, reason, what)
        if self._launched is not None:
            self._launched.link.close()
            self._launched.process.kill()

    def _lose(self, what: str) -> None:
        """It went by itself, or will be made to go."""
        if self.is_there:
            self._leave(WorkerEvent.KILL, "", what)

    def _leave(self, event: WorkerEvent, reason: str, what: str) -> None:
        self.leave(event, reason, self._clock.now())
        self._what = what
        if not self._left.done():
            self._left.set_result(None)
        if self._launched is None and self._starting is not None:
            self._starting.cancel()  # a launch may have to wait for an import
        self._owner.worker_leaves(self)

    def still_serves(self) -> bool:
        """Ask the kernel: the loop may not have come to read yet that the pipe was closed."""
        assert self._launched is not None
        if not self._launched.link.is_open():
            self._launched.link.drain()
        return self.is_ready

    # Calls

    def send(self, slot: Slot[Worker], prepared: Prepared) -> Call:
        """Send a call on a lent slot, with what other workers have defined since the last one.

        Raises `RequestError`, and sends nothing, if that makes it too large.
        """
        assert self._talk is not None
        now = self._clock.now()
        if not self._shares_definitions:
            return self._send(prepared, slot, now)
        session = prepared.session
        news = self._sessions.news(session, self._seen, now)
        *earlier, last = news.portions(self._config.max_frame_bytes // 4)
        for portion in earlier:
            self._talk.send(catch_up(session), None, portion)
        call = self._send(prepared, slot, now, last)
        self._sessions.told(session, self._seen)
        return call

    def _send(
        self, prepared: Prepared, slot: Slot[Worker], now: float, news: News = NO_NEWS
    ) -> Call:
        assert self._talk is not None
        call = self._talk.send(prepared, slot, news)
        call.sent_at = now
        return call

    async def finish(self, call: Call, deadline: Deadline) -> Reply:
        """Wait for the reply until the deadline.

        Raises `CallTimeout`, or a `WorkerError` if the worker dies. Timed out
        or cancelled, the caller is free at once and the slot is abandoned.
        """
        alarm = None
        if deadline.at is not None:
            alarm = self._clock.call_at(deadline.at, lambda: self._expire(call, deadline))
        try:
            return await call.reply
        except asyncio.CancelledError:
            self.give_up(call)
            raise
        finally:
            if alarm is not None:
                alarm.cancel()

    def _expire(self, call: Call, deadline: Deadline) -> None:
        text = (
            f"{self.name} (pid {self.pid}): {call.prepared.command!r} did not answer within "
            f"{deadline}; the worker is given {self._config.late_reply_timeout:g} s for a late "
            "reply. Raise the call's timeout if it needs longer"
        )
        self.give_up(call, CallTimeout(text))

    def end_call(self, call: Call) -> None:
        """Fail a call whose lease is over."""
        self.give_up(call, LeaseClosed(f"the lease of {self.name} ended with a call on it"))

    def give_up(self, call: Call, error: Exception | None = None) -> None:
        """Abandon the slot of a call that has no reply yet; a late one frees it again."""
        assert self._talk is not None
        if call.given_up or not self._talk.is_pending(call):
            return
        call.given_up = True
        self._watch(call, self._config.late_reply_timeout, self._give_up_for_good)
        if error is not None and not call.reply.done():
            call.reply.set_exception(error)
        if call.slot is not None:
            call.slot.advance(SlotEvent.ABANDON)
            self._owner.slot_abandoned(call.slot)

    def _give_up_for_good(self) -> None:
        self.kill("timeout", "did not end an abandoned call")

    def ping(self) -> None:
        """See whether an idle worker answers; it is killed if it does not."""
        assert self._talk is not None
        call = self._talk.send(internal("ping"), None)
        self._watch(call, self._config.ping_timeout, lambda: self._ping_expired(call))

    def _ping_expired(self, call: Call) -> None:
        if self.is_busy:
            # Alive under its call's own deadline; the ping is answered behind that call.
            self._watch(call, self._config.ping_timeout, lambda: self._ping_expired(call))
        else:
            self.kill("ping", f"did not answer a ping within {self._config.ping_timeout:g} s")

    def _watch(self, call: Call, seconds: float, action: Callable[[], None]) -> None:
        """Look after a call for which no caller waits (any more)."""
        call.watch = self._clock.call_at(self._clock.now() + seconds, action)

    # What the child does

    def _on_reply(self, call: Call, reply: Reply) -> None:
        self.last_active = self._clock.now()
        if self._shares_definitions:
            self._learn(call.prepared.session, reply)
        if call.given_up:
            self._owner.late_reply(call.slot)
        elif call.slot is not None:
            self._owner.call_finished(self, call)
        elif call.watch is not None:
            self._owner.ping_answered(self)

    def _learn(self, session: str, reply: Reply) -> None:
        try:
            changes = changes_in(reply)
        except ValueError as error:
            self._on_nonsense(f"it defined or forgot something that makes no sense: {error}")
            return
        if changes is not None:
            self._sessions.learn(session, self._seen, changes, self.last_active)

    def _on_nonsense(self, what: str) -> None:
        self._garbled = True
        self.kill("protocol", what)

    def _on_closed(self, what: str) -> None:
        self._lose(what)

    # In words

    def lost_before(self, command: str) -> WorkerError:
        """The error for a call on a lease whose worker is gone; it was not sent."""
        return self._remains().not_sent(command)

    def _remains(self) -> Remains:
        return Remains(
            worker=self.name,
            pid=self.pid,
            age=self._clock.now() - self.launched_at,
            returncode=self.returncode,
            stderr_tail=self._launched.stderr.tail() if self._launched else "",
            reason=self.reason,
            what=excerpt(self._launcher.secrets, self._what, MAX_ERROR_TEXT),
            garbled=self._garbled,
        )


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
