"""One child from launch to reap."""

from __future__ import annotations

import asyncio
from signal import SIGKILL
from typing import Protocol

import anyio

from bridge.messages import MAX_ERROR_TEXT, Reply
from pool.clock import Clock
from pool.config import PoolConfig
from pool.errors import WorkerError
from pool.exchange.exchange import Exchange
from pool.exchange.inflight import Call
from pool.exchange.requests import NEIGHBOURLY, capabilities, handshake, memory_types, timings
from pool.launch import Launched, Launcher
from pool.ledger.members import Member
from pool.ledger.recycling import Term
from pool.lifecycle import WorkerEvent, WorkerState
from pool.quotes import excerpt
from pool.sessions import SessionStore
from pool.timeouts import Deadline
from pool.worker.closing import bury, close_politely, exits_by_itself
from pool.worker.postmortem import FAULTS, Remains
from pool.worker.timings import StartTimes


class Owner(Protocol):
    """Who is told of a worker's changes, within the step in which they happen."""

    def worker_ready(self, worker: Worker) -> None: ...

    def worker_leaves(self, worker: Worker) -> None:
        """It takes no calls from here on."""
        ...

    def call_answered(self, worker: Worker, call: Call, reply: Reply, now: float) -> None:
        """It answered a call for which somebody waited."""
        ...

    def call_ended(self, worker: Worker, call: Call, outcome: str) -> None:
        """For its caller a call ended without a reply; if it is given up its slot is abandoned."""
        ...

    def late_reply(self, worker: Worker, call: Call | None) -> None:
        """An answer came that nobody waits for; the slot of `call`, if given, is free again."""
        ...

    def worker_stuck(self, worker: Worker) -> None:
        """It did not end a call that was given up, in all the time it was left."""
        ...

    def ping_answered(self, worker: Worker, seconds: float) -> None: ...


class Worker(Member):
    """A supervised child. `run` is its whole life; the rest is called meanwhile.

    `error` is what it failed of, unless it was asked to end; `calls` are there
    as soon as it is launched; `took` is how long its start took so far.
    """

    calls: Exchange

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
        self._launched: Launched | None = None
        self._starting: anyio.CancelScope | None = None
        self._has_started = asyncio.Event()
        self._has_left = asyncio.Event()
        self.took = StartTimes()
        self._what = self._traceback = ""
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
        return self.calls.talk.unanswered if self._launched else 0

    async def private_memory(self) -> int | None:
        """Bytes that its process shares with no other; None if it is not there."""
        return await self._launched.process.private_memory() if self._launched else None

    # Life

    async def run(self) -> None:
        """Launch, hand-shake, serve, close, reap. Raises nothing but cancellation."""
        try:
            await self._start_or_leave()
            await self._has_left.wait()
            if self.state is WorkerState.RETIRING and self._launched is not None:
                await close_politely(
                    self._launched, self.calls.ask_to_end, self._config.grace_period
                )
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
            await self._launch()
            await self._has_started.wait()
        if self.state is WorkerState.STARTING and self._starting.cancelled_caught:
            self.kill("start", f"was not ready within {self._config.start_timeout:g} s")

    async def _launch(self) -> None:
        """Start the process and send the handshake."""
        launched = self._launched = await self._launcher.launch(self.name)
        self.took.launch = self._clock.now() - self.launched_at
        exchange = self.calls = Exchange(
            launched.link,
            self._config,
            self._sessions,
            self._launcher.secrets,
            self._clock,
            self,
            launched.memory,
        )
        launched.link.start(exchange.receive, self._lose, self.nonsense)
        launched.process.exited.add_done_callback(lambda _: launched.link.drain())
        offer = () if launched.memory is None else launched.memory.offer
        prepared = handshake(self.name, self._config.options, self._config.concurrency, offer)
        exchange.shake_hands(prepared)

    def _conclude(self) -> None:
        """Settle why it ended, now that everything about it is known, and end every call."""
        self.exited()
        self.reason = self.reason or self._reason_of_its_own()
        remains = self._remains()
        if self.reason in FAULTS and self.ready_at is None:
            self.error = remains.start_error()
        elif self.reason in FAULTS and self._launched is not None:
            self.error = remains.loss(self.calls.talk.waited_for(), request_sent=False)
        if self._launched is not None:
            self.calls.close(
                lambda call, sent: remains.loss([call.prepared.command], request_sent=sent)
            )

    def _reason_of_its_own(self) -> str:
        process = self._launched.process if self._launched else None
        if self.returncode is None and process and process.has_lost_template:
            return "template_lost"
        if self.returncode == -SIGKILL and process and process.ran_out_of_memory():
            self._what = "was killed by the kernel because memory ran out"
            return "oom"
        return "signal" if (self.returncode or 0) < 0 else "crash"

    # Leaving service

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
        self._has_left.set()
        self._has_started.set()
        if self._launched is None and self._starting is not None:
            self._starting.cancel()  # a launch may have to wait for an import
        self._owner.worker_leaves(self)

    def still_serves(self) -> bool:
        """Ask the kernel: the loop may not have come to read yet that the pipe was closed."""
        assert self._launched is not None
        if not self._launched.link.is_open():
            self._launched.link.drain()
        return self.state is WorkerState.READY

    # What its calls tell (the Party protocol)

    def started(self, reply: Reply) -> None:
        """The handshake is answered; told at once, since the process may end in the next moment."""
        if self.state is not WorkerState.STARTING:
            return
        if not reply.success:
            self._traceback = (reply.traceback or "").strip()
            said = f"{reply.error_type or 'error'}: {reply.error}"
            self._lose(f"said that its start-up failed: {said.strip()}")
            return
        able = capabilities(reply)
        self.calls.agree(able)
        if self._launched is not None and self._launched.memory is not None:
            self._launched.memory.agree(memory_types(reply))
        if len(self.slots) > 1 and not NEIGHBOURLY.issubset(able):
            self.take_one_at_a_time()
        self.takes_batches = "batch" in able
        self.handshaken(self._clock.now())
        told = timings(reply)
        self.took.imports, self.took.start_up = told.imports, told.start_up
        self.took.ready = self.last_active - self.launched_at
        self._has_started.set()
        self._owner.worker_ready(self)

    def answered(self, call: Call, reply: Reply, now: float) -> None:
        """A caller's call has its reply."""
        self.last_active = now
        self._owner.call_answered(self, call, reply, now)

    def ended(self, call: Call, outcome: str) -> None:
        """A caller's call has ended without a reply."""
        self._owner.call_ended(self, call, outcome)

    def answered_late(self, call: Call | None) -> None:
        """An answer came that nobody waits for."""
        self.last_active = self._clock.now()
        self._owner.late_reply(self, call)

    def stuck(self) -> None:
        """A call that was given up is unanswered after all the time it was left."""
        self._owner.worker_stuck(self)

    def pinged(self, seconds: float) -> None:
        """A ping is answered."""
        self.last_active = self._clock.now()
        self._owner.ping_answered(self, seconds)

    def ping_overdue(self) -> None:
        """It has not answered a ping in time, and has nothing else to do."""
        self.kill("ping", f"did not answer a ping within {self._config.ping_timeout:g} s")

    def nonsense(self, what: str) -> None:
        """It sent what makes no sense."""
        self._garbled = True
        self.kill("protocol", what)

    # In words

    def lost_before(self, command: str) -> WorkerError:
        """The error for a call on a lease whose worker is gone; it was not sent."""
        return self._remains().not_sent(command)

    def _remains(self) -> Remains:
        secrets = self._launcher.secrets
        return Remains(
            worker=self.name,
            pid=self.pid,
            age=self._clock.now() - self.launched_at,
            returncode=self.returncode,
            stderr_tail=self._launched.stderr.tail() if self._launched else "",
            reason=self.reason,
            what=excerpt(secrets, self._what, MAX_ERROR_TEXT),
            traceback=excerpt(secrets, self._traceback, MAX_ERROR_TEXT),
            garbled=self._garbled,
        )
