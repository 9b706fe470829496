"""TARGET: `package.module` or `package.module:name`, found with or without importing it."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

from bridge.registry import Bridge

DEFAULT_NAME = "bridge"


def load(target: str) -> Bridge:
    """Import the target and return its `Bridge`.

    Raises `ImportError` where there is no such module or name, and
    `TypeError` where the name is no bridge; whatever the module raises
    passes through.
    """
    module_name, _, name = target.partition(":")
    module = importlib.import_module(module_name)
    name = name or DEFAULT_NAME
    try:
        bridge = getattr(module, name)
    except AttributeError:
        raise ImportError(f"module {module_name!r} has no {name!r}") from None
    if not isinstance(bridge, Bridge):
        raise TypeError(f"{module_name}:{name} is a {type(bridge).__name__}, not a Bridge")
    bridge.check_signatures()
    return bridge


def problem_with(target: str) -> str | None:
    """Say what is wrong with the target as far as can be told without importing it."""
    module_name = target.partition(":")[0]
    if not all(part.isidentifier() for part in module_name.split(".")):
        return f"target {target!r} is not of the form package.module or package.module:name"
    path: list[str] | None = None
    found = ""
    for part in module_name.split("."):
        found = f"{found}.{part}" if found else part
        spec = _spec(found, path)
        if spec is None:
            return f"target {target!r}: no module named {found!r} (searched from {Path.cwd()})"
        path = _folders(spec, part, path)
    return None


def _folders(spec: ModuleSpec, part: str, path: list[str] | None) -> list[str]:
    """Where to look for what is inside."""
    if spec.origin is not None or spec.submodule_search_locations is None:
        return list(spec.submodule_search_locations or [])
    # A namespace package: to list its locations would import its parent.
    folders = (Path(folder or ".") / part for folder in (sys.path if path is None else path))
    return [str(folder) for folder in folders if folder.is_dir()]


def _spec(name: str, path: list[str] | None) -> ModuleSpec | None:
    """Ask the finders directly: `importlib.util.find_spec` would import the parent package."""
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path)
        except KeyError:  # a namespace package, whose spec wants its parent imported
            return ModuleSpec(name, None, is_package=True)
        if spec is not None:
            return spec
    return None
