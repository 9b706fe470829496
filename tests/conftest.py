"""After each test nothing is left: no task, no child process, no descriptor."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from hypothesis import settings

from bridge.messages.secrets import looks_secret
from tests.processes import children, descriptors, ends_within, kill_all, mark_environment, marked

mark_environment()
for _name in filter(looks_secret, list(os.environ)):
    # A test that fails prints what it has: the machine's own secrets are not among it.
    del os.environ[_name]

settings.register_profile("shared", deadline=None)  # the processors are not ours alone
settings.load_profile("shared")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.fixturenames.insert(0, "_no_task_left")


def pytest_collection_finish() -> None:
    """What was imported stays: the collection after each test need not look at it every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A test of the command line configures logs, for those after it in this process too."""
    log = logging.getLogger("bridgepool")
    level, propagate, handlers = log.level, log.propagate, log.handlers[:]
    yield
    log.setLevel(level)
    log.propagate = propagate
    log.handlers[:] = handlers
    structlog.reset_defaults()


@pytest.fixture
async def _no_task_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left: {left}"


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before, processes, own = descriptors(), marked(), children()
    yield
    left = ends_within(marked() - processes, 2.0)
    kill_all(left)
    assert not left, f"processes left: {left}"
    assert not children() - own, "zombies left"
    gc.collect()
    opened = {fd: name for fd, name in descriptors().items() if before.get(fd) != name}
    assert not opened, f"descriptors left: {opened}"
