"""The README's code runs as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pool.telemetry.events import CallFinished, Event
from tests.contract.pools import make_pool

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

TOLD = """
from collections.abc import Iterator
from bridge import Bridge

bridge = Bridge()
told = []


@bridge.command
def tokens(text: str) -> Iterator[str]:
    yield from text


@bridge.command
def classify(text: str) -> list[str]:
    return [text.upper()]
"""

ANSWERING = """
from types import SimpleNamespace
from bridge import Bridge

bridge = Bridge()
index = SimpleNamespace(search=str.split)


def model(question: str, passages: list[str]) -> str:
    return f"{question} {len(passages)}"
"""

SCALING = """
import numpy as np
from bridge import Bridge
from numpy.typing import NDArray

bridge = Bridge()
"""


def block(words: str) -> str:
    """The one block that has these words."""
    [found] = [str(block) for block in BLOCKS if words in block]
    return found


def test_the_first_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS[0]], capture_output=True, text=True, check=False, timeout=50
    )
    answer = "{'answer': 'echo: Why does ice float?'}"
    assert (done.stdout.splitlines(), done.stderr) == ([answer, answer], "")


async def test_the_bridge_of_ones_own_runs(tmp_path: Path) -> None:
    (tmp_path / "my_bridge.py").write_text(block("# my_bridge.py"))
    env = {"PYTHONPATH": str(tmp_path)}
    async with make_pool("spawn", "my_bridge:bridge", env=env, options={}) as pool:
        made = await pool.call("classify", {"text": "a"}, result_type=list[str])
    assert made == ["A", "A", "A"]


def test_the_test_of_ones_own_code_passes() -> None:
    names: dict[str, Any] = {}
    exec(block("ScriptedLauncher"), names)
    names["test_a_killed_worker_costs_no_answer"]()


@pytest.mark.parametrize(
    ("words", "variable", "read"),
    [("pool.stream", "item", [".", ".", "."]), ("pool.map", "labels", [["A"], ["B"]])],
)
async def test_what_is_read_comes(
    tmp_path: Path, words: str, variable: str, read: list[object]
) -> None:
    (tmp_path / "telling.py").write_text(TOLD)
    code = block(words).replace("...\n", f"found.append({variable})\n")
    names: dict[str, Any] = {"texts": ["a", "b"], "found": []}
    if "found" not in code:
        code += f"        found.append({variable})\n"
    exec(f"async def main(pool):\n{textwrap.indent(code, '    ')}", names)
    async with make_pool("spawn", "telling", env={"PYTHONPATH": str(tmp_path)}) as pool:
        await names["main"](pool)
    assert names["found"] == read


async def test_bytes_and_arrays_go_both_ways(tmp_path: Path) -> None:
    command, call = block("in the bridge").split("# in your service\n")
    (tmp_path / "scaling.py").write_text(SCALING + command)
    names: dict[str, Any] = {"np": np, "image": bytes([2]) * 2**18, "scale": np.ones(2**18)}
    exec(f"async def main(pool):\n{textwrap.indent(call, '    ')}    return pixels", names)
    async with make_pool("spawn", "scaling", env={"PYTHONPATH": str(tmp_path)}) as pool:
        pixels = await names["main"](pool)
    assert (pixels.dtype, set(pixels.tolist())) == (np.float32, {2.0})


async def test_the_phases_of_a_command_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "answering.py").write_text(ANSWERING + block('phase("retrieve")'))
    pool = make_pool("spawn", "answering", env={"PYTHONPATH": str(tmp_path)})
    heard: list[Event] = []
    pool.listen(heard.extend, [CallFinished])
    exec(block("def hear(events)"), {"pool": pool})
    async with pool:
        assert await pool.call("answer", {"question": "Why is it so?"}) == "Why is it so? 4"
    assert capsys.readouterr().out.startswith("answer ok 0.0")
    (call,) = heard
    assert isinstance(call, CallFinished)
    assert call.phases is not None
    assert set(json.loads(bytes(call.phases))) == {"retrieve", "generate"}


def test_every_link_leads_somewhere() -> None:
    for page in ("README.md", "docs/failures.md", "docs/profiling.md", "docs/wire.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
            assert (ROOT / page).parent.joinpath(target).exists(), target
