"""What a worker may use: told to it in its environment, or set from outside on its process."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from pool.config import PoolConfig

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    # numexpr cannot be imported with more threads than this, which is 64 unless it is set.
    "NUMEXPR_MAX_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""Read by libraries when they are loaded: those that joblib sets for its workers, and Rayon's,
Polars', OpenCV's and TensorFlow's."""

_RLIMITS = {
    "max_address_space": resource.RLIMIT_AS,
    "max_open_files": resource.RLIMIT_NOFILE,
}
"""The settings that are limits of the kernel."""


def thread_variables(config: PoolConfig) -> dict[str, str]:
    """The variables that tell libraries of `cpu_threads`."""
    if config.cpu_threads is None:
        return {}
    return dict.fromkeys(THREAD_VARIABLES, str(config.cpu_threads))


def limit_problems(config: PoolConfig, template: int | None = None) -> list[str]:
    """Why workers could not be limited as asked, a sentence each; `template` is its pid.

    This process's own hard limits are taken for final, though root might exceed them.
    """
    problems = []
    for name, wanted in _rlimits(config):
        _, hard = resource.getrlimit(_RLIMITS[name])
        if hard != resource.RLIM_INFINITY and wanted > hard:
            problems.append(f"{name}={wanted} is above this process's own hard limit, {hard}")
    if config.max_address_space is not None and template is not None:
        taken = address_space(template)
        if taken >= config.max_address_space:
            problems.append(
                f"max_address_space={config.max_address_space} is too little: a process that has "
                f"imported the bridge takes {taken} bytes"
            )
    return problems


def apply_limits(config: PoolConfig, pid: int) -> None:
    """Limit a new worker's process; one that has ended already needs no limits.

    The caller sees to it that the number is the worker's. Raises
    `PermissionError`, with the setting's name, for what may not be set.
    """
    with contextlib.suppress(ProcessLookupError):
        for name, wanted in _rlimits(config):
            with _naming(name, wanted):
                # The hard limit too, or the worker could raise it again.
                resource.prlimit(pid, _RLIMITS[name], (wanted, wanted))
        if config.niceness is not None:
            with _naming("niceness", config.niceness):
                _be_nice(pid, config.niceness)


def address_space(pid: int) -> int:
    """Bytes of a process's address space, as RLIMIT_AS counts them; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _rlimits(config: PoolConfig) -> list[tuple[str, int]]:
    asked = ((name, getattr(config, name)) for name in _RLIMITS)
    return [(name, wanted) for name, wanted in asked if wanted is not None]


def _be_nice(pid: int, added: int) -> None:
    # Linux keeps it for each thread: our main one is the measure, and a worker this young has
    # one alone, from which all that it starts inherit. To lower it would take a privilege.
    wanted = os.getpriority(os.PRIO_PROCESS, os.getpid()) + added  # the kernel stops at 19
    if wanted > os.getpriority(os.PRIO_PROCESS, pid):
        os.setpriority(os.PRIO_PROCESS, pid, wanted)


@contextlib.contextmanager
def _naming(name: str, value: int) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        text = f"{name}={value} cannot be set for the worker: {error.strerror}"
        raise PermissionError(error.errno, text) from None
