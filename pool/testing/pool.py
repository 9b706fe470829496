"""A pool over scripted children."""

from __future__ import annotations

from random import Random
from typing import Unpack

from pool.config import PoolOptions
from pool.launch import Launcher
from pool.launch.command import secrets_of, worker_environment
from pool.pool import WorkerPool
from pool.testing.launcher import ScriptedLauncher


class ScriptedPool(WorkerPool):
    """The real `WorkerPool` with a launcher whose children are scripted.

    `options` are those of `WorkerPool`. `size` and `start_concurrency` are 2
    unless they are set, so that no test depends on the machine's processors.
    What is secret is hidden as with real children.
    `seed` is what the pool's own chance (jitter) is drawn from.
    """

    def __init__(
        self, launcher: ScriptedLauncher, *, seed: int = 0, **options: Unpack[PoolOptions]
    ) -> None:
        settings: PoolOptions = {"size": 2, "start_concurrency": 2, **options}
        super().__init__("scripted", **settings)
        self._random = Random(seed)
        self._scripted = launcher

    def _launcher(self) -> Launcher:
        self._scripted.max_frame_bytes = self._config.max_frame_bytes
        self._scripted.secrets = secrets_of(self._config)
        self._scripted.secrets.learn_environment(worker_environment(self._config))
        return self._scripted
