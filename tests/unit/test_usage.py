"""What processes use."""

from __future__ import annotations

import os
from pathlib import Path

from pool.usage import open_descriptors, own_usage, usage_of


def test_of_this_process() -> None:
    own = own_usage()
    assert own.peak >= own.resident > 1_000_000
    times = os.times()
    assert abs(own.cpu - (times.user + times.system)) < 1.0


def test_of_a_process_that_is_gone() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    assert usage_of(child) is None


def test_of_a_process_that_never_was() -> None:
    assert usage_of(2**22 + 1) is None  # more than the kernel's largest number


def test_of_a_process_that_has_ended_and_was_not_waited_for() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert usage_of(child) is None
    os.waitpid(child, 0)


def test_descriptors() -> None:
    before = open_descriptors()
    with Path(os.devnull).open():
        assert open_descriptors() == before + 1
