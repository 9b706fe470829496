"""The endpoints of pools with real children, and clients that mean no good."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_strictly

from pool import SyncWorkerPool, WorkerPool
from pool.telemetry import http
from pool.telemetry.endpoints import Answer
from pool.telemetry.http import TelemetryServer
from tests.contract.pools import make_pool, until
from tests.contract.scraping import ask, response, say, value


@pytest.fixture
async def server() -> AsyncIterator[TelemetryServer]:
    async with make_pool("forkserver", size=1) as pool, pool.serve_telemetry() as server:
        yield server


async def until_answered(
    server: TelemetryServer, path: str, condition: Callable[[int], bool]
) -> str:
    """Ask again and again; the test's time limit bounds it."""
    while not condition((answer := await ask(server, path)).status):  # noqa: ASYNC110 - as `until`
        await asyncio.sleep(0.005)
    return answer.body


def is_ready(status: int) -> bool:
    return status == 200


def is_not_ready(status: int) -> bool:
    return status == 503


# What is served


async def test_the_metrics_in_the_format_that_is_asked_for(server: TelemetryServer) -> None:
    plain = await ask(server, "/metrics")
    assert plain.status == 200
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert value(plain.body, "workers_limit") == 1
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3"
    strict = await ask(server, "/metrics?x=1", accept=accept)
    assert strict.headers["content-type"].startswith("application/openmetrics-text")
    assert list(parse_strictly(strict.body))  # type: ignore[no-untyped-call]


async def test_the_stats() -> None:
    pool = make_pool("forkserver", size=1)
    async with pool.serve_telemetry() as server:
        assert (await ask(server, "/stats")).status == 503
        async with pool:
            await pool.call("echo", {})
            answer = await ask(server, "/stats")
    assert answer.headers["content-type"] == "application/json"
    stats = json.loads(answer.body)
    assert (stats["state"], stats["calls"], stats["workers"][0]["slot"]) == ("open", {"ok": 1}, 0)


async def test_other_paths_and_methods(server: TelemetryServer) -> None:
    assert (await ask(server, "/")).status == 404
    refused = await ask(server, "/livez", method="POST")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_a_head_has_no_body(
    server: TelemetryServer, caplog: pytest.LogCaptureFixture
) -> None:
    whole, head = await ask(server, "/livez"), await ask(server, "/livez", method="HEAD")
    assert (head.status, head.body) == (200, "")
    assert head.headers == whole.headers
    assert not caplog.records


async def test_of_a_pool_for_synchronous_code() -> None:
    def run() -> str:
        with SyncWorkerPool("bridge.echo", size=1) as pool, pool.serve_telemetry() as server:
            pool.call("echo", {})
            assert pool.why_not_ready() is None
            with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
                text: bytes = answer.read()
            return text.decode()

    text = await asyncio.to_thread(run)
    assert value(text, "calls_total", command="echo", outcome="ok") == 1


# Readiness


async def test_a_pool_is_ready_from_its_opening_until_it_drains() -> None:
    pool = make_pool("forkserver", size=1)
    async with pool.serve_telemetry() as server:
        assert "not open" in (await ask(server, "/readyz")).body
        async with pool:
            assert (await ask(server, "/readyz")).status == 200  # lazy: it starts with work
            assert not pool.stats().workers
            running = asyncio.create_task(pool.call("sleep", {"seconds": 0.2}))
            await until(pool, lambda stats: stats.busy == 1)
            drained = asyncio.create_task(pool.drain())
            draining = await until_answered(server, "/readyz", is_not_ready)
            await asyncio.gather(running, drained)
        assert "draining" in draining
        closed = await ask(server, "/readyz")
        assert (closed.status, (await ask(server, "/livez")).status) == (503, 200)
    assert "closed" in closed.body


async def test_it_is_not_ready_while_the_last_worker_is_gone() -> None:
    pool = make_pool("spawn", size=1, min_ready=1)
    async with pool, pool.serve_telemetry() as server:
        starting = await ask(server, "/readyz")
        assert starting.status == 503
        assert "0 of min_ready=1 workers are ready; they are starting" in starting.body
        await until_answered(server, "/readyz", is_ready)
        await pool.call("echo", {})
        (worker,) = pool.stats().workers
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        async with asyncio.timeout(1):
            await until_answered(server, "/readyz", is_not_ready)
        assert (await ask(server, "/livez")).status == 200
        await until_answered(server, "/readyz", is_ready)


async def test_a_worker_that_answers_no_ping_is_not_ready() -> None:
    pool = make_pool("spawn", size=1, min_ready=1, ping_interval=0.05, ping_timeout=0.1)
    async with pool, pool.serve_telemetry() as server:
        await until_answered(server, "/readyz", is_ready)
        (worker,) = pool.stats().workers
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        async with asyncio.timeout(2):
            await until_answered(server, "/readyz", is_not_ready)
        await until_answered(server, "/readyz", is_ready)


async def test_a_bridge_that_cannot_start_is_told_with_its_cause() -> None:
    options = {"fail_start": "no weights"}
    pool = make_pool("forkserver", "bridge.faulty", size=1, min_ready=1, options=options)
    async with pool, pool.serve_telemetry() as server:
        await until(pool, lambda stats: stats.failed_starts > 0)
        failed = await ask(server, "/readyz")
        assert failed.status == 503
        assert "no weights" in failed.body
        assert (await ask(server, "/livez")).status == 200


async def test_a_crash_loop_is_told_with_its_cause() -> None:
    options = {"fail_start": "no weights"}
    pool = make_pool(
        "forkserver", "bridge.faulty", size=1, min_ready=1, options=options, max_restarts=0
    )
    async with pool, pool.serve_telemetry() as server:
        await until(pool, lambda stats: stats.state.value == "failed")
        failed = await ask(server, "/readyz")
        assert failed.status == 503
        assert "crash loop" in failed.body
        assert "no weights" in failed.body


async def test_an_environment_known_to_be_unfit_is_asked_about_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pool.ledger.ENVIRONMENT_RETRY", 0.05)
    pool = make_pool("forkserver", "no_such_module", size=1)
    async with pool, pool.serve_telemetry() as server:
        assert (await ask(server, "/readyz")).status == 200
        await asyncio.gather(pool.call("echo", {}), return_exceptions=True)
        unfit = await ask(server, "/readyz")
        assert unfit.status == 503
        assert "no_such_module" in unfit.body
        # No work comes while it is not ready: the question itself has it looked at again.
        while pool.stats().validations["failed"] < 3:
            assert (await ask(server, "/readyz")).status == 503


# Clients


async def test_a_head_that_is_too_long_is_refused(server: TelemetryServer) -> None:
    in_one = await ask(server, "/livez", x="a" * http.MAX_HEAD)
    assert in_one.status == 431
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET /livez HTTP/1.1\r\n")
    for _ in range(5):
        writer.write(b"x: " + b"a" * (http.MAX_HEAD // 4) + b"\r\n")
        await asyncio.sleep(0)
    assert response(await reader.read()).status == 431
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@pytest.mark.parametrize(
    "rubbish", [b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01 /\r\n\r\n"]
)
async def test_what_is_no_http_is_refused(server: TelemetryServer, rubbish: bytes) -> None:
    assert (await say(server, rubbish)).status == 400
    assert (await ask(server, "/livez")).status == 200


async def test_a_second_request_on_a_connection_is_not_served(server: TelemetryServer) -> None:
    request = b"GET /livez HTTP/1.1\r\nhost: h\r\n\r\n"
    answer = await say(server, request * 2)
    assert (answer.status, answer.body) == (200, "ok\n")


async def test_who_says_nothing_is_dropped(
    server: TelemetryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "PATIENCE", 0.05)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET /livez HT")
    (end,) = await asyncio.gather(reader.read(), return_exceptions=True)
    assert end == b"" or isinstance(end, ConnectionResetError)
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_who_takes_no_answer_is_dropped(
    server: TelemetryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "PATIENCE", 0.05)
    answer = Answer(200, "text/plain", b"x" * 10_000_000)
    monkeypatch.setattr(http.Client, "_answer", lambda *_: answer)
    dropped = asyncio.Event()
    lost = http.Client.connection_lost

    def connection_lost(client: http.Client, error: Exception | None) -> None:
        lost(client, error)
        dropped.set()

    monkeypatch.setattr(http.Client, "connection_lost", connection_lost)
    _, writer = await asyncio.open_connection(server.host, server.port, limit=1)
    writer.write(b"GET /livez HTTP/1.1\r\nhost: h\r\n\r\n")
    await dropped.wait()
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_who_sends_on_and_on_is_dropped(server: TelemetryServer) -> None:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    with suppress(ConnectionError):
        for _ in range(200):
            writer.write(b"POST /livez HTTP/1.1\r\nhost: h\r\n\r\n" + b"a" * 65_536)
            await writer.drain()
        pytest.fail("13 MB were taken")
    await asyncio.gather(reader.read(), return_exceptions=True)
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_those_who_say_nothing_keep_nobody_out(server: TelemetryServer) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(http.MAX_CONNECTIONS + 5):
            _, writer = await asyncio.open_connection(server.host, server.port)
            stack.callback(writer.close)
        answer = await ask(server, "/livez")
    assert answer.status == 200


async def test_connections_end_with_the_server() -> None:
    pool = make_pool("forkserver", size=1)
    async with pool.serve_telemetry() as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        await ask(server, "/livez")
    async with asyncio.timeout(http.PATIENCE / 2):
        await asyncio.gather(reader.read(), return_exceptions=True)
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    with pytest.raises(ConnectionRefusedError):
        await ask(server, "/livez")


async def test_a_port_that_is_taken(server: TelemetryServer) -> None:
    pool = WorkerPool("bridge.echo", name="second")
    taken = rf"second: telemetry cannot listen on 127\.0\.0\.1:{server.port}: .*in use"
    with pytest.raises(OSError, match=taken):
        async with pool.serve_telemetry(port=server.port):
            pass


@pytest.mark.parametrize(("host", "port"), [("no such host", 0), ("127.0.0.1", 99_999)])
async def test_an_address_that_cannot_be(host: str, port: int) -> None:
    pool = WorkerPool("bridge.echo", name="p")
    with pytest.raises(OSError, match="p: telemetry cannot listen on"):
        async with pool.serve_telemetry(host, port):
            pass
