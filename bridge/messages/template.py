"""What a pool and its template process say to each other: JSON, a frame each.

The stream is a Unix socket, so that descriptors can travel with a message.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct, json

FORK_FDS = 6
"""Descriptors that come with `Fork`: requests, replies, stderr, the worker's lifeline, and, where
the kernel makes such files, the two of its memory."""


MAX_ORDER = 2**32 - 1
"""Bytes of a message to the template: what a frame can be. It is its parent's, and believed."""

MAX_MESSAGE = 1024 * 1024
"""Bytes of a message from the template, which runs code of the user's."""

MAX_SECONDS = 1e9
"""A duration above this, some thirty years, is none."""

_Pid = Annotated[int, Meta(gt=1, le=2**22)]  # proc(5): PID_MAX_LIMIT
_Seconds = Annotated[float, Meta(ge=0, le=MAX_SECONDS)]
_Status = Annotated[int, Meta(ge=-64, le=255)]


class Load(Struct, tag="load"):
    """Pool to template, first of all: import the target, run what it preloads, and report.

    `explain` asks for what only a person wants to know.
    """

    max_frame_bytes: int
    options: Raw = Raw(b"{}")
    requires: tuple[str, ...] = ()
    requires_env: tuple[str, ...] = ()
    explain: bool = False


class Fork(Struct, tag="fork"):
    """Pool to template, with `fds` descriptors: make a worker.

    `number` is the pool's own for this request.
    """

    number: int
    worker: str
    fds: int


class ImportCost(Struct):
    """Seconds that the import of one module took: its own code, and with all it imported."""

    module: str
    own: float
    total: float


class Explanation(Struct):
    """What the import was like. Times in seconds, memory (PSS) in bytes."""

    python: str
    executable: str
    versions: dict[str, str]
    import_time: float
    preload_time: float
    memory_before: int
    memory_after: int
    costliest: list[ImportCost]


class LoadTimes(Struct, frozen=True):
    """Seconds that parts of the loading took: the import, what the bridge preloads, and to collect
    garbage and freeze the rest.
    """

    imports: _Seconds = 0.0
    preload: _Seconds = 0.0
    freeze: _Seconds = 0.0


class Loaded(Struct, tag="loaded"):
    """Template to pool: all is imported. `hazards` say why forking is not safe, if it is not."""

    hazards: list[str] = []
    explanation: Explanation | None = None
    took: LoadTimes = LoadTimes()


class Unfit(Struct, tag="unfit"):
    """Template to pool: the environment cannot run the bridge, a sentence for each reason."""

    problems: list[str]


class Forked(Struct, tag="forked"):
    """Template to pool, with a pidfd: the worker that was asked for."""

    number: int
    pid: _Pid


class Refused(Struct, tag="refused"):
    """Template to pool: no worker. It is not safe to fork any more, or the kernel would not."""

    number: int
    hazards: list[str] = []
    error: str = ""


class Exited(Struct, tag="exited"):
    """Template to pool: a worker was reaped; `returncode` is negative for a signal."""

    pid: _Pid
    returncode: _Status


ToTemplate = Load | Fork
FromTemplate = Loaded | Unfit | Forked | Refused | Exited

encode = json.Encoder().encode
decode_to_template = json.Decoder(ToTemplate).decode
decode_from_template = json.Decoder(FromTemplate).decode
