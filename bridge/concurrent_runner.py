"""Many calls at a time."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bridge.call import Call
from bridge.ending import END_GRACE, end_if_nobody_reads, exit_within
from bridge.intake import Intake, tell
from bridge.messages import Failure
from bridge.outbox import Outbox
from bridge.perform import perform, perform_async
from bridge.replies import Replies
from bridge.report import report
from bridge.requests import Cancel, Credit, Request
from bridge.serial_runner import or_end
from bridge.threads import Threads
from bridge.watch import LoopWatch, ThreadWatch


class ConcurrentRunner:
    """Up to `limit` calls at a time; more than that wait for their turn.

    The event loop, on the main thread, reads the wire and runs asynchronous
    commands, each as a task; plain ones run on threads. A reply leaves when
    it is ready. The book of calls is kept on the loop's thread alone.
    """

    def __init__(
        self, limit: int, intake: Intake, replies: Replies, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._limit = limit
        self._intake = intake
        self._replies = replies
        self._loop = loop
        self._outbox = Outbox(replies.sender, loop)
        self._threads = Threads()
        self._loop_watch = LoopWatch(intake.hears)
        self._thread_watch = ThreadWatch(intake.hears)
        self._calls: dict[int, Call] = {}
        self._queue: deque[Call] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._is_closing = False
        self._failure: BaseException | None = None
        replies.sender = self._outbox
        intake.obey = self._obey

    # Requests

    def serve(self, handle: Callable[[Request | Failure], None]) -> None:
        """Hand each request to `handle` until it is time to end and every call has its reply.

        At end of file, and after `end`, the process has `END_GRACE` for that.
        Raises what a command raised to end the process.
        """
        wire_fd, stop_fd = self._intake.fds
        end_if_nobody_reads(self._intake.stop, self._outbox.piece_under_way)
        self._loop.add_reader(wire_fd, self._on_readable, handle)
        self._loop.add_reader(stop_fd, self._on_signal)
        self._loop.call_soon(self._hand_out, handle)
        while not self._is_over():
            self._loop.run_forever()
            if self._failure is not None:
                raise self._failure

    def close(self) -> None:
        """Answer nothing any more, and have the threads end."""
        self._intake.give_up()
        self._notify()
        self._outbox.hang_up()
        self._threads.close()

    def end(self) -> None:
        """Take no more requests; what runs has `END_GRACE` to be answered."""
        if not self._is_closing:
            exit_within(END_GRACE, 0)
            self._close()

    def _on_readable(self, handle: Callable[[Request | Failure], None]) -> None:
        or_end(self._intake.look)
        self._hand_out(handle)
        if self._intake.is_at_end:
            self._loop.remove_reader(self._intake.fds[0])
            self._notify()
            self.end()

    def _on_signal(self) -> None:
        stop = self._intake.stop
        if not stop.requested:
            stop.drain()
            return
        self._loop.remove_reader(stop.fd)
        # Not now: what was sent before is read in this turn, but perhaps after this.
        self._loop.call_soon(self._stop)

    def _stop(self) -> None:
        self._intake.give_up()
        self._notify()
        self._close()

    def _hand_out(self, handle: Callable[[Request | Failure], None]) -> None:
        try:
            while self._intake.waiting and not self._is_closing:
                handle(self._intake.waiting.popleft())
        except Exception as error:
            self._abort(error)

    def _obey(self, control: Cancel | Credit) -> None:
        call = self._calls.get(control.id)
        if call is not None:
            tell(control, call)
            self._drop_if_queued(call)
            self._notify()
        elif (waiting := self._intake.find(control.id)) is not None:
            tell(control, waiting)

    def _drop_if_queued(self, call: Call) -> None:
        if call.cancelled and call in self._queue:
            self._queue.remove(call)
            self._forget(call)
            self._refuse(call)

    def _refuse(self, call: Call) -> None:
        self._replies.fail(report(call.id, asyncio.CancelledError()))

    def _notify(self) -> None:
        self._loop_watch.notify()
        self._thread_watch.notify()

    # Calls

    def run(self, call: Call) -> None:
        """Run a call now, or when its turn comes."""
        if call.cancelled:
            self._refuse(call)
            return
        self._calls[call.id] = call
        if self._running < self._limit:
            self._begin(call)
        else:
            self._queue.append(call)

    def run_at_once(self, call: Call) -> None:
        """Run a call on the loop, whatever else runs."""
        if call.command.is_async or call.command.is_stream:
            self._calls[call.id] = call
            self._begin(call)
        else:
            context = contextvars.copy_context()
            context.run(perform, call, self._replies, self._thread_watch)

    def _begin(self, call: Call) -> None:
        self._running += 1
        context = contextvars.copy_context()
        if call.command.is_async:
            self._tasks.add(self._loop.create_task(self._run_in_task(call), context=context))
            return
        try:
            self._threads.run(partial(self._run_on_thread, call, context))
        except RuntimeError as error:
            self._replies.fail(report(call.id, error))
            self._ended(call)

    async def _run_in_task(self, call: Call) -> None:
        try:
            await perform_async(call, self._replies, self._loop_watch)
        except BaseException as error:
            self._abort(error)
        finally:
            self._tasks.discard(asyncio.current_task())
            self._ended(call)

    def _run_on_thread(self, call: Call, context: contextvars.Context) -> None:
        error: BaseException | None = None
        try:
            context.run(perform, call, self._replies, self._thread_watch)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the process ends, and its loop is closed
            self._loop.call_soon_threadsafe(self._thread_ended, call, error)

    def _thread_ended(self, call: Call, error: BaseException | None) -> None:
        self._threads.done()
        self._ended(call)
        if error is not None:
            self._abort(error)

    def _ended(self, call: Call) -> None:
        self._running -= 1
        self._forget(call)
        while self._queue and self._running < self._limit:
            self._begin(self._queue.popleft())

    def _forget(self, call: Call) -> None:
        if self._calls.get(call.id) is call:
            del self._calls[call.id]
        if self._is_over():
            self._loop.stop()

    # The end

    def _abort(self, error: BaseException) -> None:
        """End the process as the command wants that raised this."""
        if self._failure is None:
            self._failure = error
        self._loop.stop()

    def _close(self) -> None:
        """Take no more requests; what is said about calls is heard all the same."""
        self._is_closing = True
        self._intake.shut()
        if self._is_over():
            self._loop.stop()

    def _is_over(self) -> bool:
        return self._is_closing and not self._running and not self._queue
