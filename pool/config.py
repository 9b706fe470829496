"""What a pool can be told, with units and defaults, checked before anything starts. Pure."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict, get_args

from bridge.frames import DEFAULT_MAX_FRAME_BYTES
from bridge.messages import is_object, to_json
from pool.circuit.breaker import Breaker

StartMethod = Literal["forkserver", "spawn"]


class PoolOptions(TypedDict, total=False):
    """The keyword arguments of `WorkerPool`, described by the fields of `PoolConfig`."""

    python: str | None
    requires: Sequence[str]
    requires_env: Sequence[str]
    env: Mapping[str, str]
    options: Mapping[str, Any] | None
    start_method: StartMethod
    name: str | None
    size: int
    overflow: int
    spares: int
    min_ready: int
    concurrency: int
    max_waiting: int | None
    start_concurrency: int | None
    checkout_timeout: float | None
    call_timeout: float | None
    start_timeout: float | None
    late_reply_timeout: float
    grace_period: float
    idle_timeout: float | None
    ping_interval: float | None
    ping_timeout: float
    leak_threshold: float | None
    max_calls: int | None
    max_age: float | None
    max_memory: int | None
    max_frame_bytes: int
    max_restarts: int
    restart_window: float
    breaker: Breaker | None
    max_address_space: int | None
    max_open_files: int | None
    cpu_threads: int | None
    niceness: int | None


@dataclass(frozen=True, kw_only=True)
class PoolConfig:
    """Everything that can be set. Seconds are floats, sizes bytes; None means no limit."""

    bridge: str | None = None
    """TARGET: `package.module` or `package.module:name`. Either this or `argv`."""
    argv: tuple[str, ...] | None = field(default=None, repr=False)
    """A foreign executable that speaks the wire on its stdin and stdout."""

    # what runs
    python: str | None = None
    """The interpreter; None is the one that runs the pool."""
    requires: tuple[str, ...] = ()
    """Distributions that must be installed for the interpreter."""
    requires_env: tuple[str, ...] = ()
    """Environment variables that must be set and not empty."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables added to the parent's environment."""
    options: Mapping[str, Any] | None = field(default=None, repr=False)
    """A JSON object for the bridge's start-up, the same for every worker."""
    start_method: StartMethod = "forkserver"
    """"forkserver": one process imports the bridge and forks workers, where that is safe.
    "spawn": a fresh interpreter per worker, as `argv` always has it."""
    name: str | None = None
    """What logs and errors call the pool; None takes the bridge's name."""

    # how many
    size: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    """Workers in ordinary service; by default as many as there are processors to run on."""
    overflow: int = 0
    """Temporary workers above `size`, started when all of them are busy and somebody waits."""
    spares: int = 0
    """Warmed workers, not counted in `size`, that take a lost worker's place at once."""
    min_ready: int = 0
    """Workers started in the background when the pool opens, and kept; 0 is fully lazy."""
    concurrency: int = 1
    """Calls in flight per worker."""
    max_waiting: int | None = 1_000
    """Checkouts that may wait; busy workers do not count."""
    start_concurrency: int | None = None
    """Workers that may start at once; None takes the number of processors, at least 2."""

    # how long
    checkout_timeout: float | None = 30.0
    call_timeout: float | None = 60.0
    start_timeout: float | None = 120.0
    """From the launch of a worker's process until it is ready."""
    late_reply_timeout: float = 5.0
    """How long a worker may take to answer a call that was given up, before it is killed."""
    grace_period: float = 5.0
    """For each closing step: running calls, `shutdown`, end of file, SIGTERM."""
    idle_timeout: float | None = None
    """How long an idle worker stays. None: 30 s above `size`, for ever within it."""
    ping_interval: float | None = 30.0
    """How often idle workers are pinged; busy ones never are."""
    ping_timeout: float = 10.0
    leak_threshold: float | None = None
    """How long a checkout may hold a worker before one warning tells where it was taken, and
    `stats().leaks` counts it. The lease goes on. None: never."""

    # until when
    max_calls: int | None = None
    """Calls after which a worker is replaced; it serves on until its replacement is ready.
    This and the next two are lowered by up to a tenth for each worker, at random."""
    max_age: float | None = None
    """Age at which a worker is replaced."""
    max_memory: int | None = None
    """Private memory above which a worker is replaced: what it shares with its template does
    not count. It is looked at once a second while the worker answers calls."""
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    """The largest frame in either direction."""
    max_restarts: int = 5
    """Failed starts within `restart_window` above which the pool is in a crash loop."""
    restart_window: float = 60.0
    breaker: Breaker | None = None
    """When calls of a command that keep failing are refused at once: see `Breaker`. None: never."""

    # limits of each worker: of its process and not of the template, but for `cpu_threads`
    max_address_space: int | None = None
    """Bytes of address space (RLIMIT_AS), at least 64 MiB: our bridge alone needs 48 with
    Python 3.11. Beyond it Python raises `MemoryError`; a library may crash. All that is reserved
    or mapped counts, used or not: 8 MiB for a thread's stack, with CUDA more than there is."""
    max_open_files: int | None = None
    """Descriptors (RLIMIT_NOFILE), at least 32: our bridge has 10. Beyond it, `OSError`."""
    cpu_threads: int | None = None
    """Threads of numeric libraries (OpenMP, OpenBLAS, MKL, numexpr, Rayon ...), told to them by
    their variables before anything is imported. The parent's own variables do not count, those
    in `env` win. With 1, numpy starts no thread, which would keep workers from being forked."""
    niceness: int | None = None
    """Added to the parent's, from 0 to 19: the more, the less processor time beside others.
    Linux ignores it between sessions, and so between workers and all others, where it groups
    processes by session (`kernel.sched_autogroup_enabled`, outside of cgroups; see sched(7))."""

    def __post_init__(self) -> None:
        _normalise(self)
        problem = _first_problem(self)
        if problem is not None:
            raise ValueError(f"WorkerPool: {problem}")

    @property
    def pool_name(self) -> str:
        """The name for logs and errors."""
        if self.name:
            return self.name
        if self.bridge:
            module, _, name = self.bridge.partition(":")
            last = module.rpartition(".")[2]
            return f"{last}.{name}" if name not in ("", "bridge") else last
        assert self.argv is not None
        return os.path.basename(self.argv[0])  # noqa: PTH119

    @property
    def starts_at_once(self) -> int:
        """`start_concurrency` with its default filled in."""
        if self.start_concurrency is not None:
            return self.start_concurrency
        return max(2, len(os.sched_getaffinity(0)))


def _normalise(config: PoolConfig) -> None:
    for name in ("argv", "requires", "requires_env"):
        value = getattr(config, name)
        if isinstance(value, str):
            raise ValueError(f"WorkerPool: {name} is a list of strings, not one string")
        if value is not None:
            object.__setattr__(config, name, tuple(value))


def _first_problem(config: PoolConfig) -> str | None:
    checks = (
        _target_problem,
        _start_method_problem,
        _ranges_problem,
        _text_problem,
        _options_problem,
        _breaker_problem,
    )
    return next((problem for check in checks if (problem := check(config))), None)


def _target_problem(config: PoolConfig) -> str | None:
    if (config.bridge is None) == (config.argv is None):
        return "give either a bridge ('package.module:name') or argv=[...]"
    if isinstance(config.bridge, str) and not config.bridge.strip():
        return "the bridge's name is empty"
    if config.argv is not None and not config.argv:
        return "argv is empty"
    if config.argv is not None and config.requires:
        return "requires=... is about Python distributions; a foreign executable has none"
    return None


def _ranges_problem(config: PoolConfig) -> str | None:
    for item in fields(config):
        problem = _range_problem(item.name, getattr(config, item.name))
        if problem is not None:
            return problem
    if config.min_ready > config.size:
        return f"min_ready={config.min_ready} is more than size={config.size}"
    return None


def _start_method_problem(config: PoolConfig) -> str | None:
    if config.start_method not in get_args(StartMethod):
        return f"start_method={config.start_method!r} is neither 'forkserver' nor 'spawn'"
    return None


def _breaker_problem(config: PoolConfig) -> str | None:
    given: object = config.breaker
    if given is None or isinstance(given, Breaker):
        return None
    return f"breaker={given!r} must be a Breaker(...) or None"


_NEVER_NONE = {
    "size",
    "overflow",
    "spares",
    "min_ready",
    "max_frame_bytes",
    "max_restarts",
    "late_reply_timeout",
    "grace_period",
    "ping_timeout",
    "restart_window",
}
_ABOVE_ZERO = {
    "leak_threshold",
    "max_age",
    "ping_interval",
    "ping_timeout",
    "restart_window",
    "start_timeout",
}
_AT_LEAST = {
    "size": 1,
    "overflow": 0,
    "spares": 0,
    "min_ready": 0,
    "max_waiting": 0,
    "start_concurrency": 1,
    "max_calls": 1,
    "max_memory": 1024 * 1024,
    "max_frame_bytes": 1024,
    "max_restarts": 0,
    "max_address_space": 64 * 1024 * 1024,
    "max_open_files": 32,
    "cpu_threads": 1,
    "niceness": 0,
}
_AT_MOST = {
    # What the kernel's signed 64 bits hold; more is said to be no limit at all.
    "max_address_space": 2**63 - 1,
    "max_open_files": 2**63 - 1,
    "niceness": 19,
}
_DURATIONS = {
    "checkout_timeout",
    "call_timeout",
    "start_timeout",
    "late_reply_timeout",
    "grace_period",
    "idle_timeout",
    "leak_threshold",
    "ping_interval",
    "ping_timeout",
    "max_age",
    "restart_window",
}


def _range_problem(name: str, value: object) -> str | None:
    if value is None:
        return f"{name} cannot be None" if name in _NEVER_NONE else None
    if name in _AT_LEAST:
        return _whole_number_problem(name, value)
    if name in _DURATIONS:
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric or not math.isfinite(value) or value < 0:  # type: ignore[arg-type,operator]
            return f"{name}={value!r} must be a number of seconds, not negative"
        if value == 0 and name in _ABOVE_ZERO:
            return f"{name}=0 must be more than no time at all"
    return None


def _whole_number_problem(name: str, value: object) -> str | None:
    least, most = _AT_LEAST[name], _AT_MOST.get(name, math.inf)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return None
    allowed = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
    return f"{name}={value!r} must be a whole number {allowed}"


def _text_problem(config: PoolConfig) -> str | None:
    """What the operating system or the wire could not carry."""
    words = [*(config.argv or ()), *config.requires, *config.requires_env]
    words += [word for pair in config.env.items() for word in pair]
    words += [word for word in (config.bridge, config.python, config.name) if word is not None]
    for word in words:
        if not isinstance(word, str) or "\0" in word:
            return "names, argv and env are text without NUL characters"
    if any(not name or "=" in name for name in config.env):
        return "env has a variable without a name, or with '=' in it"
    return None


def _options_problem(config: PoolConfig) -> str | None:
    if config.options is None:
        return None
    try:
        encoded = to_json(config.options)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return f"options cannot be encoded as JSON: {type(error).__name__}"
    if not is_object(encoded):
        return "options must be a JSON object"
    if len(encoded) > config.max_frame_bytes - 1024:
        return f"options take {len(encoded)} bytes, too much for max_frame_bytes"
    return None
