"""All mutants of one file: mutmut's operators, and some for what they leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

_LEFT_OUT = (mutators.operator_match, mutators.operator_string, mutators.operator_arg_removal)
_DISPLAYS = cst.Tuple | cst.List | cst.Set | cst.Dict
_QUIET_CALLS = {"isinstance", "len", "super"}
_CONTEXT = 40
"""Characters shown on both sides of what has changed in a long place."""


@dataclass(frozen=True)
class Mutant:
    """One file with one change; `line` is where, `text` what that place says now."""

    path: str
    line: int
    was: str
    text: str
    source: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {_change(_one_line(self.was), _one_line(self.text))}"


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Every mutant of the file that compiles, in the order of its lines, each source once."""
    visitor = _Visitor()
    MetadataWrapper(cst.parse_module(source)).visit(visitor)
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[str, Mutant] = {}
    for where, text in visitor.changes:
        begin = starts[where.start.line - 1] + where.start.column
        end = starts[where.end.line - 1] + where.end.column
        changed = source[:begin] + text + source[end:]
        if changed != source and _compiles(changed):
            mutant = Mutant(path, where.start.line, source[begin:end], text, changed)
            found.setdefault(changed, mutant)
    return sorted(found.values(), key=lambda mutant: mutant.line)


class _Visitor(cst.CSTVisitor):  # type: ignore[misc]
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        self.changes: list[tuple[CodeRange, str]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _is_quiet(node):
            return False
        for kind, operator in _OPERATORS:
            if isinstance(node, kind):
                for mutated in operator(node):
                    self._note(node, mutated)
        if isinstance(node, cst.If | cst.While | cst.CompIf):
            for outcome in _condition(node):
                self._note(node.test, outcome)
        return True

    def _note(self, node: cst.CSTNode, mutated: cst.CSTNode) -> None:
        where = self.get_metadata(PositionProvider, node)
        self.changes.append((where, cst.Module([]).code_for_node(mutated)))


def _is_quiet(node: cst.CSTNode) -> bool:
    """Whether no test could tell, or nothing but the types would be changed."""
    match node:
        case cst.Annotation() | cst.Decorator() | cst.Import() | cst.ImportFrom() | cst.Assert():
            return True
        case cst.Call(func=cst.Name(value=name)) if name in _QUIET_CALLS:
            return True
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value="__slots__"))]):
            return True
        case cst.Assign(value=cst.Call(func=cst.Name(value="TypeVar"))):
            return True
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString() | cst.Ellipsis()):
            return True
    return False


# Operators


def _string(node: cst.SimpleString) -> Iterable[cst.CSTNode]:
    """One for each string: the others of mutmut change its letters' case."""
    return list(mutators.operator_string(node))[:1]


def _argument(node: cst.Call) -> Iterator[cst.CSTNode]:
    """Each argument as None, and without those that are named."""
    for i, argument in enumerate(node.args):
        others = node.args[:i], node.args[i + 1 :]
        if argument.star == "":
            none = argument.with_changes(value=cst.Name("None"))
            yield node.with_changes(args=[*others[0], none, *others[1]])
        if argument.keyword is not None:
            yield node.with_changes(args=[*others[0], *others[1]])


def _statement(node: cst.BaseSmallStatement) -> Iterator[cst.CSTNode]:
    yield cst.Pass()


def _operand(node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
    yield from (node.left, node.right)


def _element(node: Any) -> Iterator[cst.CSTNode]:
    """Tables without one of their rows."""
    for i in range(len(node.elements)):
        rest = [*node.elements[:i], *node.elements[i + 1 :]]
        if rest and isinstance(node, cst.Tuple):
            rest[-1] = rest[-1].with_changes(comma=cst.Comma())
        if rest or not isinstance(node, cst.Set):
            yield node.with_changes(elements=rest)


def _condition(node: cst.If | cst.While | cst.CompIf) -> Iterator[cst.CSTNode]:
    """Never so, and always so; not for loops, which would not end."""
    yield cst.Name("False")
    if not isinstance(node, cst.While):
        yield cst.Name("True")


Operator = tuple[Any, Callable[[Any], Iterable[cst.CSTNode]]]
_OPERATORS: list[Operator] = [
    *(pair for pair in mutators.mutation_operators if pair[1] not in _LEFT_OUT),
    (cst.SimpleString, _string),
    (cst.Call, _argument),
    (cst.Expr | cst.Del | cst.Raise, _statement),
    (cst.BooleanOperation, _operand),
    (_DISPLAYS, _element),
]


def _compiles(source: str) -> bool:
    """Not to compile would count as noticed, by no test's merit."""
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _change(was: str, now: str) -> str:
    """Both, without most of what they begin and end with alike."""
    head = max(0, _alike(was, now) - _CONTEXT)
    tail = max(0, _alike(was[head:][::-1], now[head:][::-1]) - _CONTEXT)
    return "  ->  ".join(
        "..." * (head > 0) + text[head : len(text) - tail] + "..." * (tail > 0)
        for text in (was, now)
    )


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _one_line(text: str) -> str:
    return " ".join(text.split())
