"""`bridgepool top` as people run it, against real servers and in real terminals."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pool.cli.top import fetch
from pool.cli.top.fetch import Endpoint, Unreadable
from tests.contract.endpoint import Scripted, scripted, serving
from tests.contract.pools import make_pool, until
from tests.contract.terminal import SEQUENCE, terminal

LEFT = "\x1b[?1049l"
"""The terminal shows again what it showed before."""


@pytest.fixture
def endpoint() -> Iterator[Scripted]:
    with scripted() as made:
        yield made


def top(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pool", "top", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


def in_terminal(endpoint: Scripted) -> tuple[str, ...]:
    return ("top", endpoint.address, "--interval", "0.1")


# A frame


async def test_one_frame_of_a_real_pool() -> None:
    async with make_pool("spawn", size=2, name="shown") as pool, serving(pool) as address:
        await pool.wait_ready()
        asleep = [asyncio.create_task(pool.call("asleep", {"seconds": 60})) for _ in range(3)]
        await until(pool, lambda stats: stats.inflight_calls == 2 and stats.waiting == 1)
        done = await asyncio.to_thread(top, address, "--once", "--interval", "0.1")
        for call in asleep:
            call.cancel()
        await asyncio.gather(*asleep, return_exceptions=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[0].startswith("shown  open  spawn, generation 1")
    assert re.search(rf" {re.escape(address)}, rates over [\d.]+ s$", lines[0])
    assert "2 of 2, 2 busy" in done.stdout
    assert "1 waiting" in done.stdout
    for number in ("1", "2"):
        (row,) = (line for line in lines if line.startswith(f"shown-{number} "))
        assert re.search(r"\d+  busy .* \d+ MB", row), row
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("path", "page", "said"),
    [
        ("/stats", (500, b""), "/stats was answered with status 500"),
        ("/stats", (302, b""), "/stats was answered with status 302"),
        ("/stats", (200, b"<html>"), "/stats has no picture of a pool"),
        ("/stats", (200, b'{"name": 3}'), "/stats has no picture of a pool"),
        ("/stats", (200, b'{"waiting": ' + b"9" * 400 + b"}"), "a number is too large"),
        ("/stats", (200, b"\xff\xfe"), "/stats has no picture of a pool"),
        ("/stats", (200, b" " * 3_000), "/stats is larger than"),
    ],
)
def test_what_is_no_pool_is_said_to_be_none(
    endpoint: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    page: tuple[int, bytes],
    said: str,
) -> None:
    monkeypatch.setattr(fetch, "LARGEST", 2_000)
    endpoint.has()
    endpoint.pages[path] = page
    with pytest.raises(Unreadable, match=re.escape(said)):
        Endpoint(endpoint.address).read()


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ((404, b""), "/metrics was answered with status 404"),
        ((200, b"\xff"), "/metrics cannot be read"),
        ((200, b"workerpool_calls_total{ 3"), "/metrics cannot be read"),
    ],
)
def test_without_metrics_there_are_the_other_figures(
    endpoint: Scripted, page: tuple[int, bytes], said: str
) -> None:
    endpoint.has(waiting=7)
    endpoint.pages["/metrics"] = page
    reading = Endpoint(f"http://{endpoint.address}/").read()
    assert reading.stats.waiting == 7
    assert reading.lacking is not None
    assert said in reading.lacking


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT", 0.2)

    async def main() -> None:
        gone = asyncio.Event()

        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            with suppress(ConnectionError):
                while True:  # each part comes in time
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            writer.close()
            gone.set()

        async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
            address = "{}:{}".format(*server.sockets[0].getsockname())
            with pytest.raises(Unreadable, match="/stats took longer than"):
                await asyncio.to_thread(Endpoint(address).read)
            await gone.wait()

    asyncio.run(main())


def test_nobody_there_is_status_1(endpoint: Scripted) -> None:
    endpoint.go()
    done = top(endpoint.address, "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{endpoint.address}: Connection refused" in done.stderr


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nowhere", "the port is missing"),
        (":80", "the host is missing"),
        ("a:b", "Port could not be cast"),
        ("ftp://a:1", "only http and https"),
        ("u@a:1", "are not possible"),
        ("a:1?x=1", "are not possible"),
    ],
)
def test_what_is_no_address_is_refused(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Endpoint(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [("[::1]:9464", "[::1]:9464"), ("https://h/pools/a/", "h/pools/a"), ("h:1", "h:1")],
)
def test_addresses_and_urls(address: str, shown: str) -> None:
    assert str(Endpoint(address)) == shown


def test_without_a_terminal_it_says_what_to_do(endpoint: Scripted) -> None:
    done = top(endpoint.address)
    assert done.returncode == 2
    assert "--once" in done.stderr


# In a terminal


def test_it_draws_anew_and_ends_with_ctrl_c(endpoint: Scripted) -> None:
    endpoint.has(waiting=3)
    with terminal(*in_terminal(endpoint)) as shown:
        modes = shown.modes()
        shown.until("echo.*3 waiting")
        endpoint.has(waiting=77, calls={"ok": 10})
        shown.until("77 waiting")
        assert shown.modes() != modes  # what is typed is not shown
        shown.press("\x03")
        assert shown.ends() == 0
        assert LEFT in shown.shown
        assert "Traceback" not in shown.shown
        assert shown.modes() == modes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_as_well(endpoint: Scripted, number: signal.Signals) -> None:
    endpoint.has()
    with terminal(*in_terminal(endpoint)) as shown:
        shown.until("echo")
        os.kill(shown.process.pid, number)
        assert shown.ends() == 0
        assert LEFT in shown.shown


def test_figures_are_marked_as_old_until_there_is_an_answer(endpoint: Scripted) -> None:
    endpoint.has(waiting=3)
    with terminal(*in_terminal(endpoint)) as shown:
        shown.until("3 waiting")
        endpoint.go()
        shown.until(r"NO ANSWER: Connection refused; these figures are 1 s old.*3 waiting")
        endpoint.has(waiting=4)
        endpoint.come()
        shown.until("4 waiting")
        frames = shown.until("4 waiting.*4 waiting")
        assert "NO ANSWER" not in frames
        shown.press("q")
        assert shown.ends() == 0


def test_it_waits_for_an_endpoint_that_is_not_there_yet(endpoint: Scripted) -> None:
    endpoint.go()
    endpoint.has(waiting=3)
    with terminal(*in_terminal(endpoint)) as shown:
        shown.until("no figures yet.*NO ANSWER: Connection refused")
        endpoint.come()
        shown.until("3 waiting")
        shown.press("q")
        assert shown.ends() == 0


@pytest.mark.parametrize("no_color", [False, True])
def test_colours_are_for_who_wants_them(endpoint: Scripted, no_color: bool) -> None:
    endpoint.has(busy=1)
    with terminal(*in_terminal(endpoint), no_color=no_color) as shown:
        coloured = re.search(r"\x1b\[(\d+;)*3\dm", shown.until("1 busy"))
        assert (coloured is None) is no_color
        shown.press("q")
        assert shown.ends() == 0


# Under the load of the stress command


STRESS = ("stress", "--bridge", "bridge.echo", "--command", "echo", "--duration", "1.5")
SMALL = ("--size", "2", "--overflow", "0", "--concurrency", "4")


def stressed(folder: Path, *arguments: str, until: str) -> tuple[str, str]:
    """What a run had shown when that was there, and the report."""
    command = (*STRESS, *SMALL, *arguments)
    with (folder / "report").open("wb") as out, terminal(*command, stdout=out.fileno()) as shown:
        before = shown.until(until)
        assert shown.ends() == 0
    return SEQUENCE.sub("", before), (folder / "report").read_text()


def test_a_run_shows_its_pool(tmp_path: Path) -> None:
    shown, report = stressed(tmp_path, until=r"operations: 0 failed, 0 shed, 1 of 1\.5 s.*echo-2")
    assert re.search(r"echo  open.*2 of 2, .*calls in flight.*max [\d,]+", shown, re.DOTALL)
    assert re.search(r"echo-1 +\d+  (busy|idle) .* MB", shown)
    assert "conserved     yes" in report


def test_a_run_has_a_bar_if_that_is_wanted(tmp_path: Path) -> None:
    shown, report = stressed(tmp_path, "--no-live", until="operations .*0:00:01")
    assert "waiting" not in shown
    assert "conserved     yes" in report
