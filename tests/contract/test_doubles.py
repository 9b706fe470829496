"""The scripted process and pipes against real ones: the same scenes, the same observations.

Each scene has a child twice, as a small Python program and as a script, and
one course of events. What is seen must be the same in both, and as it is
written here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pytest

from bridge.frames import encode
from pool.exchange.ends import WIDE
from pool.testing import Child, Request, Script, run
from tests.contract.sides import LIMIT, Side, real, scripted

HELLO = encode(b'{"id": 1, "command": "hello"}')
LARGE = encode(b'{"id": 1, "command": "large", "args": {"text": "%s"}}' % (b"x" * 500_000))


class Course(Protocol):
    async def __call__(self, side: Side) -> object: ...


@dataclass(frozen=True)
class Scene:
    program: str
    script: Callable[[], Script]
    course: Course
    seen: object


# Children


class Passive(Script):
    """Reads what comes, and ends at end of file or SIGTERM."""

    def end_of_file(self, child: Child) -> None:
        child.exit(0)

    def terminated(self, child: Child) -> None:
        child.exit(0)


class OnStart(Passive):
    def __init__(self, act: Callable[[Child], object]) -> None:
        self.act = act

    def started(self, child: Child) -> None:
        self.act(child)


class OnRequest(Passive):
    def __init__(self, act: Callable[[Child], object]) -> None:
        self.act = act

    def requested(self, child: Child, request: Request) -> None:
        self.act(child)


def do(*acts: Callable[[Child], object]) -> Callable[[Child], None]:
    def act(child: Child) -> None:
        for one in acts:
            one(child)

    return act


def sends(*payloads: bytes) -> Callable[[Child], object]:
    return lambda child: child.send_bytes(b"".join(map(encode, payloads)))


def exits(status: int) -> Callable[[Child], object]:
    return lambda child: child.exit(status)


# Scenes


async def ask_until_it_ends(side: Side) -> object:
    side.start()
    side.link.write(HELLO)
    await side.is_closed()
    return side.told, await side.exit(), side.link.queued, side.link.sent, side.link.is_open()


reply_then_exit = Scene(
    "read(); send(b'one'); send(b'two'); os._exit(3)",
    lambda: OnRequest(do(sends(b"one", b"two"), exits(3))),
    ask_until_it_ends,
    (["one", "two", "closed: it closed its end of the pipe"], 3, len(HELLO), len(HELLO), False),
)

half_a_frame = Scene(
    "read(); send(b'one'); write(struct.pack('>I', 9) + b'half'); os._exit(0)",
    lambda: OnRequest(
        do(sends(b"one"), lambda child: child.send_bytes(encode(b"half a it")[:8]), exits(0))
    ),
    ask_until_it_ends,
    (
        [
            "one",
            r"closed: it closed its end of the pipe in the middle of a frame: "
            r"b'\x00\x00\x00\thalf'",
        ],
        0,
        len(HELLO),
        len(HELLO),
        False,
    ),
)

killed_by_itself = Scene(
    "read(); os.kill(os.getpid(), 11)",
    lambda: OnRequest(exits(-11)),
    ask_until_it_ends,
    (["closed: it closed its end of the pipe"], -11, len(HELLO), len(HELLO), False),
)

grandchild = Scene(
    "read()\nif os.fork() == 0: time.sleep(3600)\nsend(b'one'); os._exit(0)",
    lambda: OnRequest(
        do(sends(b"one"), lambda child: setattr(child, "has_grandchild", True), exits(0))
    ),
    ask_until_it_ends,
    (["one", "closed: it closed its end of the pipe"], 0, len(HELLO), len(HELLO), False),
)


async def hear_nonsense(side: Side) -> object:
    side.start()
    await side.has_told(2)
    still_open = side.link.is_open()
    side.process.kill()
    side.link.close()
    return side.told, still_open, side.link.is_open(), await side.exit()


oversized = Scene(
    "send(b'one'); write(b'hello on stdout'); read()",
    lambda: OnStart(do(sends(b"one"), lambda child: child.send_bytes(b"hello on stdout"))),
    hear_nonsense,
    (
        [
            "one",
            "nonsense: it announced a frame of 1751477356 bytes is over the limit "
            f"of {LIMIT} bytes",
        ],
        True,
        False,
        -9,
    ),
)


async def hear_it_close(side: Side) -> object:
    side.start()
    await side.is_closed()
    lives = not side.process.exited.done()
    side.link.close_write()
    return side.told, lives, side.link.is_open(), await side.exit()


closes_stdout = Scene(
    "send(b'one'); os.close(1); read(); os._exit(5)",
    lambda: OnStart(do(sends(b"one"), lambda child: child.close_stdout())),
    hear_it_close,
    (["one", "closed: it closed its end of the pipe"], True, False, 0),
)


async def write_much_and_kill(side: Side) -> object:
    side.start()
    await side.has_told(1)
    side.link.write(LARGE)
    side.link.write(HELLO)
    first = side.link.queued, side.link.sent
    side.process.kill()
    await side.is_closed()
    return side.told, first, side.link.sent, await side.exit()


never_reads = Scene(
    "send(b'ready'); time.sleep(3600)",
    lambda: OnStart(do(lambda child: child.stop_reading(), sends(b"ready"))),
    write_much_and_kill,
    (
        ["ready", "closed: it closed its end of the pipe"],
        (len(LARGE) + len(HELLO), WIDE),
        WIDE,
        -9,
    ),
)


async def write_much(side: Side) -> object:
    side.start()
    side.link.write(LARGE)
    side.link.write(HELLO)
    side.link.close_write()
    await side.is_closed()
    return side.told, side.link.queued, side.link.sent, await side.exit()


class Counting(Script):
    """Reports how many frames came before end of file."""

    count = 0

    def requested(self, child: Child, request: Request) -> None:
        self.count += 1

    def end_of_file(self, child: Child) -> None:
        child.send_bytes(encode(b"%d frames" % self.count))
        child.exit(0)


reads_all = Scene(
    "read(); read()\nif not os.read(0, 1): send(b'2 frames'); os._exit(0)",
    Counting,
    write_much,
    (
        ["2 frames", "closed: it closed its end of the pipe"],
        len(LARGE) + len(HELLO),
        len(LARGE) + len(HELLO),
        0,
    ),
)


async def drain_after_death(side: Side) -> object:
    code = await side.exit()
    unread = side.link.is_open()
    side.start()
    side.link.drain()
    told = list(side.told)
    side.link.drain()
    side.link.close()
    return code, unread, told, side.told == told


dead_before_it_is_heard = Scene(
    "send(b'one'); send(b'2' * 60000); send(b'three'); os._exit(0)",
    lambda: OnStart(do(sends(b"one", b"2" * 60_000, b"three"), exits(0))),
    drain_after_death,
    (0, False, ["one", "2" * 60_000, "three", "closed: it closed its end of the pipe"], True),
)


async def write_to_the_dead(side: Side) -> object:
    await side.exit()
    side.start()
    side.link.write(HELLO)
    await side.is_closed()
    side.link.write(HELLO)
    return side.told, side.link.queued, side.link.sent


dead_before_it_is_asked = Scene(
    "send(b'last words'); os._exit(0)",
    lambda: OnStart(do(sends(b"last words"), exits(0))),
    write_to_the_dead,
    (["last words", "closed: it closed its end of the pipe"], 2 * len(HELLO), 0),
)


async def write_to_the_deaf(side: Side) -> object:
    side.start()
    await side.has_told(1)
    side.link.write(HELLO)
    await side.is_closed()
    return side.told, side.link.queued, side.link.sent, side.process.exited.done()


closes_stdin = Scene(
    "os.close(0); send(b'deaf'); time.sleep(3600)",
    lambda: OnStart(do(lambda child: child.close_stdin(), sends(b"deaf"))),
    write_to_the_deaf,
    (["deaf", "closed: the process ended"], len(HELLO), 0, False),
)


async def close_it(side: Side) -> object:
    side.start()
    await side.has_told(1)
    side.link.close()
    side.link.write(HELLO)
    code = await side.exit()
    side.link.drain()
    return side.told, code, side.link.queued, side.link.sent, side.link.is_open()


closed_by_its_owner = Scene(
    "send(b'one'); read()",
    lambda: OnStart(sends(b"one")),
    close_it,
    (["one"], 0, len(HELLO), 0, False),
)


async def close_while_delivering(side: Side) -> object:
    def receive(payload: bytes) -> None:
        side.told.append(payload.decode())
        side.link.close()

    side.link.start(receive, side.told.append, side.told.append)
    return await side.exit(), side.told


closed_by_a_receiver = Scene(
    "send(b'one', b'two'); read()",
    lambda: OnStart(sends(b"one", b"two")),
    close_while_delivering,
    (0, ["one"]),
)


async def pause_until_it_has_ended(side: Side) -> object:
    side.start()
    await side.has_told(1)
    side.link.pause_reading()
    side.link.pause_reading()
    side.link.write(HELLO)
    code = await side.exit()
    before = list(side.told)
    side.link.drain()
    side.link.resume_reading()
    return code, before, side.told


paused_until_it_has_ended = Scene(
    "send(b'one'); read(); send(b'two'); send(b'3' * 60000); os._exit(0)",
    lambda: Answering(sends(b"two", b"3" * 60_000), exits(0)),
    pause_until_it_has_ended,
    (0, ["one"], ["one", "two", "3" * 60_000, "closed: it closed its end of the pipe"]),
)


async def pause_and_resume(side: Side) -> object:
    side.start()
    await side.has_told(1)
    side.link.resume_reading()
    side.link.pause_reading()
    side.link.write(HELLO)
    while side.link.is_open():  # noqa: ASYNC110 - what is not read tells no event
        await asyncio.sleep(0.001)
    before, lives = list(side.told), not side.process.exited.done()
    side.link.resume_reading()
    await side.is_closed()
    side.link.pause_reading()
    side.link.resume_reading()
    return before, lives, side.told


class Answering(Passive):
    """Sends a frame when it starts, and does what it is to do when it is asked."""

    def __init__(self, *acts: Callable[[Child], object]) -> None:
        self.acts = acts

    def started(self, child: Child) -> None:
        child.send_bytes(encode(b"one"))

    def requested(self, child: Child, request: Request) -> None:
        do(*self.acts)(child)


paused_and_resumed = Scene(
    "send(b'one'); read(); send(b'two'); os.close(1); read()",
    lambda: Answering(sends(b"two"), lambda child: child.close_stdout()),
    pause_and_resume,
    (["one"], True, ["one", "two", "closed: it closed its end of the pipe"]),
)


async def terminate_it(side: Side) -> object:
    side.start()
    await side.has_told(1)
    side.process.terminate()
    code = await side.exit()
    side.process.terminate()
    side.process.kill()
    return code


ends_on_sigterm = Scene(
    "signal.signal(15, lambda *_: os._exit(7)); send(b'ready'); read()",
    lambda: Obliging(),
    terminate_it,
    7,
)


class Obliging(Script):
    def started(self, child: Child) -> None:
        child.send_bytes(encode(b"ready"))

    def terminated(self, child: Child) -> None:
        child.exit(7)


async def terminate_and_kill(side: Side) -> object:
    side.start()
    await side.has_told(1)
    side.process.terminate()
    side.link.write(HELLO)
    await side.has_told(2)
    side.process.kill()
    return await side.exit(), side.told[:2]


class Stubborn(Script):
    def started(self, child: Child) -> None:
        child.send_bytes(encode(b"ready"))

    def requested(self, child: Child, request: Request) -> None:
        child.send_bytes(encode(b"here I am"))


ignores_sigterm = Scene(
    "signal.signal(15, signal.SIG_IGN); send(b'ready'); read(); send(b'here I am'); read()",
    Stubborn,
    terminate_and_kill,
    (-9, ["ready", "here I am"]),
)


async def stop_and_kill(side: Side) -> object:
    side.start()
    await side.has_told(1)
    side.stop()
    side.link.write(HELLO)
    side.process.terminate()
    side.process.kill()
    return await side.exit(), side.link.sent


stopped = Scene(
    "signal.signal(15, lambda *_: os._exit(7)); send(b'ready'); read(); os._exit(8)",
    Obliging,
    stop_and_kill,
    (-9, len(HELLO)),
)


async def read_stderr(side: Side) -> object:
    side.start()
    await side.is_closed()
    await side.exit()
    side.stderr.close()
    tail = side.stderr.tail()
    return len(tail), tail[-12:]


says_much = Scene(
    "os.write(2, b'x' * 100000 + b'last words\\n'); os._exit(0)",
    lambda: OnStart(do(lambda child: child.say("x" * 100_000 + "last words\n"), exits(0))),
    read_stderr,
    (64 * 1024, "xlast words\n"),
)

SCENES = {name: scene for name, scene in globals().items() if isinstance(scene, Scene)}


@pytest.mark.parametrize("name", SCENES)
def test_a_real_child(name: str) -> None:
    scene = SCENES[name]

    async def main() -> object:
        async with real(scene.program) as side:
            return await scene.course(side)

    assert asyncio.run(main()) == scene.seen


@pytest.mark.parametrize("name", SCENES)
def test_a_scripted_child(name: str) -> None:
    scene = SCENES[name]

    async def main(seed: int | None) -> object:
        async with scripted(scene.script, seed) as side:
            return await scene.course(side)

    for seed in (None, *range(20)):
        assert run(main(seed), seed=seed) == scene.seen, f"seed {seed}"
