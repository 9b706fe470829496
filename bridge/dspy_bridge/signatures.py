"""From a signature as clients send it to a dspy signature, with names that dspy can use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import dspy
import msgspec
from msgspec import Struct

_TYPE_NAMES = {
    "string": "str",
    "text": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "map": "dict",
    "object": "dict",
    "any": "Any",
}
"""Type names of other languages' clients, beside Python's own."""


class Field(Struct):
    """One input or output as clients describe it."""

    name: str
    type: str = "str"
    description: str | None = None


class SignatureDef(Struct, omit_defaults=True):
    """A signature as clients describe it."""

    inputs: list[Field]
    outputs: list[Field]
    name: str | None = None
    description: str | None = None


class SignatureError(ValueError):
    """The signature cannot be built; the message says why."""


@dataclass(frozen=True, slots=True)
class BuiltSignature:
    """A dspy signature, and how its names relate to the client's."""

    definition: SignatureDef
    dspy_class: Any
    field_mapping: dict[str, str]

    def raw_name(self, name: str) -> str:
        """The client's name of a field that dspy knows as `name`."""
        raw = {sanitized: raw for raw, sanitized in self.field_mapping.items()}
        return raw.get(name, name)


def read_signature(given: str | dict[str, Any]) -> SignatureDef:
    """Read a signature in either form; raise `SignatureError` if it is none."""
    if isinstance(given, str):
        return _from_text(given)
    try:
        definition = msgspec.convert(given, SignatureDef)
    except msgspec.ValidationError as error:
        raise SignatureError(f"The signature cannot be built: {error}") from None
    if not definition.inputs or not definition.outputs:
        raise SignatureError("The signature needs at least one input and one output")
    return definition


def _from_text(text: str) -> SignatureDef:
    """Let dspy parse `question: str -> answer: int`."""
    try:
        parsed = dspy.Signature(text)
    except Exception as error:
        raise SignatureError(f"The signature {text!r} cannot be built: {error}") from error
    inputs, _, outputs = text.partition("->")
    types = dict(_text_types(inputs)) | dict(_text_types(outputs))
    return SignatureDef(
        inputs=[Field(name, types.get(name, "str")) for name in parsed.input_fields],
        outputs=[Field(name, types.get(name, "str")) for name in parsed.output_fields],
    )


def _text_types(side: str) -> list[tuple[str, str]]:
    """`a: list[int, str], b` to name and type; commas inside brackets do not separate."""
    parts = re.split(r",(?![^\[]*\])", side)
    pairs = [part.partition(":") for part in parts]
    return [(name.strip(), type_.strip()) for name, colon, type_ in pairs if colon]


def build_signature(definition: SignatureDef) -> BuiltSignature:
    """Build the dspy signature; raise `SignatureError` with the reason if that fails."""
    mapping: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for kind, members in (("input", definition.inputs), ("output", definition.outputs)):
        for field in members:
            name = sanitize(field.name)
            if name in fields:
                raise SignatureError(f"The signature has two fields called {name!r}")
            mapping[field.name] = name
            fields[name] = (_python_type(field), _dspy_field(kind, field))
    try:
        built = dspy.Signature(fields, definition.description, _class_name(definition))
    except Exception as error:
        raise SignatureError(f"The signature cannot be built: {error}") from error
    return BuiltSignature(definition, built, mapping)


def sanitize(raw: str) -> str:
    """A field name that is an identifier without a leading underscore."""
    name = re.sub(r"\W", "_", raw)
    if not name.strip("_"):
        raise SignatureError(f"{raw!r} is no name for a field")
    return f"field_{name}" if name[0] == "_" or name[0].isdigit() else name


def _class_name(definition: SignatureDef) -> str:
    name = re.sub(r"\W", "_", (definition.name or "").rpartition(".")[2])
    return name if name.isidentifier() else "StringSignature"


def _dspy_field(kind: Literal["input", "output"] | str, field: Field) -> Any:
    make = dspy.InputField if kind == "input" else dspy.OutputField
    return make(desc=field.description) if field.description else make()


def _python_type(field: Field) -> Any:
    """Let dspy parse the type, once the names of other languages are Python's."""
    text = field.type.replace("<", "[").replace(">", "]")
    if "Literal" not in text:
        text = re.sub(r"\w+", lambda found: _TYPE_NAMES.get(found[0], found[0]), text)
    try:
        return dspy.Signature(f"x: {text} -> y").input_fields["x"].annotation
    except Exception as error:
        raise SignatureError(f"field {field.name!r}: type {field.type!r}: {error}") from error
