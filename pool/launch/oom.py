"""Which processes the kernel has killed because memory ran out (cgroups(7), proc_vmstat(5))."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MACHINE = Path("/proc/vmstat")


class OomKills:
    """Tells such kills from others by the kernel's count of them.

    That is the count of the cgroup in which this process and its workers are; of the
    machine where it has none that can be read. A process that was killed by somebody
    else while a stranger of the same cgroup ran out of memory is taken for the
    stranger: only if that was since the last launch but one.
    """

    def __init__(self, sources: Iterable[Path]) -> None:
        self._source = next((source for source in sources if _count(source) is not None), None)
        self._known = self._known_soon = self._counted()

    def launching(self) -> None:
        """Forget the kills of which nobody has asked by the second time from here."""
        self._known, self._known_soon = max(self._known, self._known_soon), self._counted()

    def claim(self) -> bool:
        """Whether there was one that has not been claimed: it is from here on."""
        if self._counted() <= self._known:
            return False
        self._known += 1
        return True

    def _counted(self) -> int:
        return (None if self._source is None else _count(self._source)) or 0


def _count(source: Path) -> int | None:
    """The kills that a file of the kernel counts; None if it does not."""
    try:
        lines = source.read_text().splitlines()
    except OSError:
        return None
    counts = (line.partition(" ") for line in lines)
    return next((int(count) for name, _, count in counts if name == "oom_kill"), None)


def sources(membership: str, root: Path = _CGROUPS) -> Iterator[Path]:
    """Where to look, the best first, given what /proc/self/cgroup says."""
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _files(root, path, "memory.events")
        elif "memory" in controllers.split(","):
            yield from _files(root / "memory", path, "memory.oom_control")
    yield _MACHINE


def _files(root: Path, path: str, name: str) -> Iterator[Path]:
    yield root / path.removeprefix("/") / name
    yield root / name  # in a container that sees its own cgroup as the root of all


def _membership() -> str:
    try:
        return Path("/proc/self/cgroup").read_text()
    except OSError:
        return ""


@cache
def kills() -> OomKills:
    """Those of all processes that this one starts, from the first one on."""
    return OomKills(sources(_membership()))
