"""The command line and environment of a worker's process. Pure but for the parent's own."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bridge import frames
from bridge.messages import to_json
from bridge.messages.secrets import Secrets
from pool.config import PoolConfig
from pool.launch.limits import thread_variables

_LIFELINE_SCRIPT = str(Path(frames.__file__).with_name("lifeline.py"))
"""Run, not imported: it is the child's side."""


def worker_command(config: PoolConfig, worker: str, lifeline_fd: int) -> list[str]:
    """How to start the worker of that name.

    A foreign executable is started through the lifeline's own script; our
    bridge watches its stdin from its first moments and needs no such guard.
    """
    if config.argv is not None:
        return [sys.executable, "-IS", _LIFELINE_SCRIPT, str(lifeline_fd), *config.argv]
    command = [*_bridge_command(config), "--mode", "pool-worker", "--worker-id", worker]
    if config.max_frame_bytes != frames.DEFAULT_MAX_FRAME_BYTES:
        command += ["--max-frame-bytes", str(config.max_frame_bytes)]
    return command


def memory_arguments(fds: Sequence[int]) -> list[str]:
    """What tells our bridge of the memory that it is given, if it is."""
    return ["--memory-fds", *map(str, fds)] if fds else []


def template_command(config: PoolConfig, lifeline_fd: int) -> list[str]:
    """How to start the template that workers are forked from."""
    return [*_bridge_command(config), "--template-lifeline", str(lifeline_fd)]


def check_command(config: PoolConfig) -> list[str]:
    """How to validate the environment of a bridge."""
    command = [*_bridge_command(config), "--check"]
    for name in config.requires:
        command += ["--requires", name]
    for name in config.requires_env:
        command += ["--requires-env", name]
    return command


def interpreter(config: PoolConfig) -> str:
    return config.python or sys.executable


def _bridge_command(config: PoolConfig) -> list[str]:
    assert config.bridge is not None
    return [interpreter(config), "-m", "bridge", config.bridge]


def worker_environment(config: PoolConfig) -> dict[str, str]:
    """The parent's environment, what `cpu_threads` and then `env` add, and its own import path.

    What the application can import its bridges can import too, also where
    `sys.path` was extended by hand or by the script's folder.
    """
    environment = {**os.environ, **thread_variables(config), **config.env}
    if config.argv is None and config.python is None:
        given = environment.get("PYTHONPATH")
        known = given.split(os.pathsep) if given else []
        added = [path for path in _own_paths() if path not in known]
        if known or added:
            environment["PYTHONPATH"] = os.pathsep.join([*known, *added])
    return environment


def secrets_of(config: PoolConfig) -> Secrets:
    """What is secret in the options; a launcher adds the environments that it gives to workers."""
    secrets = Secrets()
    secrets.learn_members(msgspec.json.decode(to_json(config.options)))
    return secrets


def _own_paths() -> list[str]:
    """The entries of `sys.path` that a fresh interpreter would not have."""
    library = str(Path(os.__file__).parent)
    standard = (library, *site.getsitepackages(), site.getusersitepackages())
    return [
        str(Path(path).absolute())
        for path in sys.path
        if path and not path.startswith(standard) and not path.endswith(".zip")
    ]
