"""What tests rely on to tell which processes they have left."""

from __future__ import annotations

import subprocess

from tests.processes import MARK, environment, marked


def test_a_process_has_its_environment_as_soon_as_it_was_started() -> None:
    for _ in range(300):
        with subprocess.Popen(["sleep", "60"]) as process:
            try:
                assert MARK.encode() in environment(process.pid)
            finally:
                process.kill()


def test_a_process_that_was_killed_is_not_found_before_it_is_reaped() -> None:
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) as process:
        assert process.pid in marked()
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == b""
        assert process.pid not in marked()
