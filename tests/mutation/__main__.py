"""Runs the trials, as many at a time as there are processors, and prints what survived."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.trial import start

PASSED = 0
"""Pytest's exit status. Any other, and death by a limit, is a mutant noticed."""


def configured(only: list[str]) -> dict[str, list[str]]:
    """Each file, with the paths of its tests."""
    table = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["mutants"]
    unknown = set(only) - set(table)
    if unknown:
        sys.exit(f"not in [tool.mutants] of pyproject.toml: {', '.join(sorted(unknown))}")
    return {
        path: [f"tests/unit/{name}.py" for name in names]
        for path, names in table.items()
        if not only or path in only
    }


def survivors(mutants: list[Mutant], tests: list[str]) -> list[Mutant]:
    """Those that no test noticed, in their order."""
    running: dict[int, Mutant] = {}
    waiting = list(reversed(mutants))
    alive = set()
    while waiting or running:
        while waiting and len(running) < len(os.sched_getaffinity(0)):
            mutant = waiting.pop()
            running[start(mutant.path, mutant.source, tests)] = mutant
        child, status = os.wait()
        mutant = running.pop(child)
        if os.waitstatus_to_exitcode(status) == PASSED:
            alive.add(mutant)
    return [mutant for mutant in mutants if mutant in alive]


def check(path: str, tests: list[str]) -> None:
    """The tests must pass while nothing is broken."""
    _, status = os.waitpid(start(path, Path(path).read_text(), tests), 0)
    if os.waitstatus_to_exitcode(status) != PASSED:
        sys.exit(f"the tests of {path} do not pass as it is: {' '.join(tests)}")


def report(made: dict[str, int], alive: dict[str, int]) -> None:
    print(f"{'file':<28}{'mutants':>8}{'survived':>10}{'score':>8}")
    rows = [(path, made[path], alive[path]) for path in made]
    for path, total, left in [*rows, ("all", sum(made.values()), sum(alive.values()))]:
        print(f"{path:<28}{total:>8}{left:>10}{100 * (total - left) / total:>7.1f}%")


def main() -> None:
    made, alive = {}, {}
    for path, tests in configured(sys.argv[1:]).items():
        check(path, tests)
        mutants = mutants_of(path, Path(path).read_text())
        left = survivors(mutants, tests)
        made[path], alive[path] = len(mutants), len(left)
        print(*left, sep="\n", end="\n" if left else "", flush=True)
    report(made, alive)


if __name__ == "__main__":
    main()
