"""One mutant's trial: a forked child that imports it in the place of the file, and runs tests."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from hypothesis import Phase, settings

for _name in (
    "anyio.pytest_plugin",
    "hypothesis.stateful",
    "msgspec.json",
    "pytest_asyncio.plugin",
):
    import_module(_name)  # once, and not in every child
assert not any(name.startswith(("pool.", "bridge.")) for name in sys.modules)

CPU_SECONDS = 30
"""What the tests of one file may take; only endless loops take more."""

ADDRESS_SPACE = 2 * 2**30
"""Bytes: endless loops often collect something."""

# The same examples each time, and none made smaller: only the verdict counts.
settings.register_profile(
    "mutation",
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
)


class _Loader(SourceFileLoader):
    """Loads a module from a text that is not its file's."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    """Finds the module of one file."""

    def __init__(self, path: str, source: str) -> None:
        file = Path(path)
        package = file.parent if file.stem == "__init__" else None
        self._name = ".".join((package or file.with_suffix("")).parts)
        self._places = None if package is None else [str(package.resolve())]
        self._loader = _Loader(self._name, str(file.resolve()), source)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return spec_from_file_location(
            fullname,
            self._loader.path,
            loader=self._loader,
            submodule_search_locations=self._places,
        )


def start(path: str, source: str, tests: Sequence[str], output: str = os.devnull) -> int:
    """Begin a trial; returns the child's process id. It exits with pytest's status."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        status = _run(path, source, tests, output)
    finally:
        os._exit(status)


def _run(path: str, source: str, tests: Sequence[str], output: str) -> int:
    said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    settings.load_profile("mutation")
    sys.meta_path.insert(0, _Finder(path, source))
    # The checks for what a test leaves behind take longer than the tests, and judge no decision.
    quick = ["--noconftest", "--assert=plain", "-p", "no:cacheprovider"]
    return int(pytest.main(["-x", "-q", "--timeout=20", *quick, *tests]))
