"""Calls that go wrong, each in a way of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from bridge.frames import encode
from bridge.messages import to_json
from pool.testing.commands import Command, is_stream
from pool.testing.obedient import Obedient
from pool.testing.script import Request
from pool.testing.streamed import Streamed

if TYPE_CHECKING:
    from pool.testing.child import Child

_NONSENSE = (
    encode(b"\x00not a reply"),
    encode(b"[1, 2]"),
    encode(b'{"id": 1}'),
    encode(b""),
    b"hello on stdout\n",
)
_STATUSES = (0, 1, 3, -6, -9, -11)


class BadCalls(Obedient):
    """A child that has each vice of `vices.CALL` as a method, which sees to the whole of a call."""

    def __init__(
        self,
        random: Random,
        slowness: float,
        commands: Mapping[str, Command] | None,
        start_time: float,
        call_time: float,
        portion: int | None,
        capabilities: Sequence[str],
    ) -> None:
        super().__init__(
            commands,
            start_time=start_time,
            call_time=call_time,
            portion=portion,
            capabilities=capabilities,
        )
        self.random = random
        self.slowness = slowness

    def behave(self, child: Child, request: Request) -> None:
        """Do nothing wrong."""
        super().begin(child, request)

    def dies_on_reading(self, child: Child, request: Request) -> None:
        self.die(child)

    def dies_running(self, child: Child, request: Request) -> None:
        child.later(self.lasts(request) * self.part(), self.die, child)
        if self.lasts(request) > self.takes(request):
            self.behave(child, request)

    def ignores_credit(self, child: Child, request: Request) -> None:
        command = self.commands.get(request.command)
        if command is None or not is_stream(command):
            self.behave(child, request)
            return
        done = partial(self.done, child, request)
        Streamed(child, request, command(request.args), 0.0, None, done).go_on()

    def item_after_reply(self, child: Child, request: Request) -> None:
        self._answer_first(child, request, partial(child.later, 0.0, child.item, request.id, {}))

    def item_of_nothing(self, child: Child, request: Request) -> None:
        child.item(request.id + 1_000_000, {})
        self.behave(child, request)

    def too_few_results(self, child: Child, request: Request) -> None:
        self._answer_batch(child, request, (request.batch or [])[:-1], {})

    def too_many_results(self, child: Child, request: Request) -> None:
        self._answer_batch(child, request, [*(request.batch or []), {}, {}], {})

    def senseless_failures(self, child: Child, request: Request) -> None:
        failures = self.random.choice([[], 1, {"0": 1}, {"0": {}}, {"x": {"error": 1}}])
        self._answer_batch(child, request, request.batch or [], failures)

    def _answer_batch(
        self, child: Child, request: Request, results: list[Any], failures: object
    ) -> None:
        if request.batch is None:
            self.behave(child, request)
            return
        reply = {"id": request.id, "success": True, "results": results, "failures": failures}
        done = partial(self.done, child, request)
        self._at_the_end(child, request, partial(child.send, reply), done)

    def dies_half_way(self, child: Child, request: Request) -> None:
        frame = encode(to_json({"id": request.id, "success": True, "result": request.args}))
        half = frame[: self.random.randrange(1, len(frame))]
        self._at_the_end(child, request, partial(child.send_bytes, half), partial(self.die, child))

    def dies_after(self, child: Child, request: Request) -> None:
        answer = partial(self.answer, child, request)
        self._at_the_end(child, request, answer, partial(self.die, child))

    def never_answers(self, child: Child, request: Request) -> None:
        """And so it answers nothing that is asked later."""

    def answers_late(self, child: Child, request: Request) -> None:
        child.later(self.a_while(), self.behave, child, request)

    def answers_twice(self, child: Child, request: Request) -> None:
        self._answer_first(child, request, partial(self.answer, child, request))

    def wrong_id(self, child: Child, request: Request) -> None:
        wrong = self.random.choice([-1, request.id + 1_000_000])
        self._answer_first(child, request, partial(child.reply, wrong, {}))

    def garbage(self, child: Child, request: Request) -> None:
        child.send_bytes(self.random.choice(_NONSENSE))
        self.behave(child, request)

    def oversized(self, child: Child, request: Request) -> None:
        child.send_bytes(b"\xff\xff\xff\xff")

    def closes_stdout(self, child: Child, request: Request) -> None:
        child.close_stdout()

    def closes_stdin(self, child: Child, request: Request) -> None:
        child.close_stdin()
        self.behave(child, request)

    def stops_reading(self, child: Child, request: Request) -> None:
        child.stop_reading()

    def error_in_success(self, child: Child, request: Request) -> None:
        self._answer_with({"error": "it failed"}, child, request)

    def bare_result(self, child: Child, request: Request) -> None:
        self._answer_with(42, child, request)

    def _answer_with(self, result: object, child: Child, request: Request) -> None:
        reply = {"id": request.id, "success": True, "result": result}
        done = partial(self.done, child, request)
        self._at_the_end(child, request, partial(child.send, reply), done)

    def _answer_first(self, child: Child, request: Request, first: Callable[[], object]) -> None:
        answer, done = partial(self.answer, child, request), partial(self.done, child, request)
        self._at_the_end(child, request, first, answer, done)

    def _at_the_end(self, child: Child, request: Request, *acts: Callable[[], object]) -> None:
        """Act when the answer is due, all at once."""

        def end() -> None:
            for act in acts:
                act()

        child.later(self.lasts(request), end)

    def die(self, child: Child) -> None:
        """End, one way or another."""
        child.exit(self.random.choice(_STATUSES))

    def a_while(self) -> float:
        """Some seconds, up to `slowness`."""
        return self.slowness * self.part()

    def part(self) -> float:
        """From nothing to all of it, in few steps, so that many things coincide."""
        return self.random.randrange(21) / 20
