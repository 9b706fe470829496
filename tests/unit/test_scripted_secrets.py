"""What is secret is hidden over scripted children as over real ones."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from bridge.messages.secrets import HIDDEN
from pool import BrokenWorkerError, ProtocolError, RemoteError
from pool.testing import Child, Obedient, Request, ScriptedLauncher, ScriptedPool, run
from pool.worker.output import KEPT

IN_ENV, IN_OPTIONS, IN_CALL = "sk-in-env", "sk-in-options", "sk-in-a-call"
SAID = f"{IN_ENV} {IN_OPTIONS} {IN_CALL}"
SHOWN = f"{HIDDEN} {HIDDEN} {HIDDEN}"


class Leaky(Obedient):
    """Fails, garbles its reply or dies, and says all it knows."""

    def answer(self, child: Child, request: Request) -> None:
        if request.command == "fail":
            child.fail(request.id, SAID, error_type=SAID, details={SAID: [SAID]})
        elif request.command == "garble":
            child.send_bytes(len(SAID).to_bytes(4, "big") + SAID.encode())
        elif request.command == "die":
            child.say(f"{SAID[:5]}")
            child.say(f"{SAID[5:]}\nthe end")
            child.exit(3)
        else:
            super().answer(child, request)


async def fails(command: str, kind: type[Exception]) -> Any:
    launcher = ScriptedLauncher(Leaky)
    settings: Any = {"env": {"A_TOKEN": IN_ENV}, "options": {"password": IN_OPTIONS}}
    async with ScriptedPool(launcher, size=1, **settings) as pool:
        with pytest.raises(kind) as caught:
            await pool.call(command, {"api_key": IN_CALL})
    assert IN_CALL not in repr(launcher.children[0].requests)
    return caught.value


@pytest.mark.parametrize(
    ("command", "kind", "begins"),
    [("fail", RemoteError, SHOWN), ("garble", ProtocolError, ""), ("die", BrokenWorkerError, "")],
)
def test_no_error_has_a_secret(
    command: str, kind: type[Exception], begins: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = run(fails(command, kind))
    told = f"{error} {vars(error)} {caplog.text}"
    assert SHOWN in told
    assert "sk-" not in told
    assert str(error).startswith(begins)


def test_lines_of_stderr_are_logged_when_they_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bridgepool.stderr")
    error = run(fails("die", BrokenWorkerError))
    assert error.stderr_tail == f"{SHOWN}\nthe end"
    lines = [r.args for r in caplog.records if r.name == "bridgepool.stderr"]
    assert [line for _, line in lines] == [SHOWN, "the end"]  # type: ignore[misc]


class Babbler(Obedient):
    def started(self, child: Child) -> None:
        child.say("x" * KEPT + IN_ENV + "y" * (KEPT - 5))


def test_a_secret_that_the_kept_tail_begins_in_is_hidden_whole() -> None:
    async def main() -> str:
        launcher = ScriptedLauncher(Babbler)
        async with ScriptedPool(launcher, size=1, env={"A_TOKEN": IN_ENV}) as pool:
            await pool.wait_ready()
            return launcher.children[0].stderr.tail()

    assert run(main()) == HIDDEN + "y" * (KEPT - 5)
