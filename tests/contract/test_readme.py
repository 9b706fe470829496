"""The README's code runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.contract.pools import make_pool

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_first_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS[0]], capture_output=True, text=True, check=False, timeout=50
    )
    answer = "{'answer': 'echo: Why does ice float?'}"
    assert (done.stdout.splitlines(), done.stderr) == ([answer, answer], "")


async def test_the_bridge_of_ones_own_runs(tmp_path: Path) -> None:
    (tmp_path / "my_bridge.py").write_text(BLOCKS[1])
    env = {"PYTHONPATH": str(tmp_path)}
    async with make_pool("spawn", "my_bridge:bridge", env=env, options={}) as pool:
        made = await pool.call("classify", {"text": "a"}, result_type=list[str])
    assert made == ["A", "A", "A"]


def test_the_test_of_ones_own_code_passes() -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[2], names)
    names["test_a_killed_worker_costs_no_answer"]()


def test_every_link_leads_somewhere() -> None:
    for page in ("README.md", "docs/failures.md", "docs/wire.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
            assert (ROOT / page).parent.joinpath(target).exists(), target
