"""`--telemetry` of the commands, as people give it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from signal import SIGTERM

import pytest
from click.testing import CliRunner

from pool.cli import main
from pool.telemetry.http import TelemetryServer
from tests.contract.scraping import ask, value


async def started(*arguments: str) -> tuple[asyncio.subprocess.Process, TelemetryServer]:
    """A command that runs, and where its telemetry is."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pool", *arguments, "--telemetry", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    line = (await process.stderr.readline()).decode()
    found = re.fullmatch(r"telemetry at http://(.+):(\d+)\n", line)
    assert found, line
    return process, TelemetryServer(found[1], int(found[2]))


async def until_called(server: TelemetryServer, command: str) -> None:
    """Wait for the first call; the test's time limit bounds it."""
    while True:
        text = (await ask(server, "/metrics")).body
        if value(text, "calls_total", command=command, outcome="ok"):
            return
        await asyncio.sleep(0.01)


async def test_of_stress() -> None:
    load = ("--bridge", "bridge.echo", "--command", "echo", "--duration", "170")
    process, server = await started("stress", *load, "--size", "1", "--format", "json")
    await until_called(server, "echo")
    assert (await ask(server, "/livez")).status == 200
    process.terminate()
    out, err = await process.communicate()
    assert process.returncode == 128 + SIGTERM, err
    assert json.loads(out)["conserved"]


async def test_of_map(tmp_path: Path) -> None:
    inputs, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    inputs.write_text('{"seconds": 0.2}\n' * 10)
    files = ("--inputs", str(inputs), "--output", str(output))
    process, server = await started("map", "bridge.echo", "sleep", *files, "--size", "1")
    await until_called(server, "sleep")
    await process.communicate()
    assert process.returncode == 0
    assert len(output.read_text().splitlines()) == 10


@pytest.mark.parametrize("address", ["9187", ":9187", "localhost:", "localhost:x", "h:70000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    result = CliRunner().invoke(main, ["stress", "--telemetry", address])
    assert result.exit_code == 2
    assert "HOST:PORT" in result.output


async def test_an_address_that_is_taken() -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    arguments = ["stress", "--bridge", "bridge.echo", "--telemetry", f"127.0.0.1:{port}"]
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    listener.close()
    await listener.wait_closed()
    assert result.exit_code == 1
    assert "cannot listen" in result.output
    assert "Errno" not in result.output
