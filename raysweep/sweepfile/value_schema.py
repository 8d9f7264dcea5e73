"""JSON schema of the value of a setting in all its forms: value, choice, range, condition."""

import inspect
import itertools
import re
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Any, Literal, Union

from raysweep.registry import Setting
from raysweep.sweep.space import describe
from raysweep.sweepfile import conditions, ranges

Schema = dict[str, Any]
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def reference(name: str) -> Schema:
    """Return a reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def closed(properties: Mapping[str, Any], required: Sequence[str] = (), **more: Any) -> Schema:
    """Return the schema of a mapping without other keys than these."""
    required_part = {"required": list(required)} if required else {}
    return {
        "type": "object",
        "properties": dict(properties),
        **required_part,
        "additionalProperties": False,
        **more,
    }


def of_type(declared: Any, least: float | None = None, most: float | None = None) -> Schema:
    """Return the schema of the values of a type annotation.

    Args:
        declared: Type annotation, as `raysweep.sweep.space.coerce` takes it.
        least: Smallest number allowed; None for any.
        most: Largest number allowed; None for any.
    """
    members = _members(declared)
    if len(members) > 1:
        parts = [of_type(member, least, most) for member in members]
        if all(list(part) == ["type"] for part in parts):
            return {"type": [part["type"] for part in parts]}
        return {"anyOf": parts}
    (member,) = members
    origin = typing.get_origin(member)
    if origin is Literal:
        return {"enum": list(typing.get_args(member))}
    if origin in (tuple, list):
        return {"type": "array", "items": of_type(typing.get_args(member)[0])}
    plain: Schema = {"type": _TYPES[member]} if member in _TYPES else {}
    if member in (int, float):
        limits = {"minimum": least, "maximum": most}
        plain |= {key: limit for key, limit in limits.items() if limit is not None}
    return plain


class ValueSchemas:
    """Definitions of the forms of values, one for each type of setting."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {
            "when": {
                "type": "object",
                "minProperties": 1,
                "description": "values of other settings, with which this one applies",
            }
        }
        self._names: dict[str, str] = {}

    def of(self, settings: Collection[Setting]) -> Schema:
        """Return the schema of a setting; several of one name may have several types."""
        names = dict.fromkeys(self._name(one) for one in settings)
        schemas = [reference(name) for name in names]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    def described(self, setting: Setting) -> Schema:
        """Return the schema of a setting with its meaning and its default.

        Settings of `training`, which most tasks and all estimators share, are defined once.
        """
        schema = self._described(setting)
        if not setting.key.startswith("training."):
            return schema
        if self.definitions.setdefault(setting.key, schema) == schema:
            return reference(setting.key)
        return schema

    def _described(self, setting: Setting) -> Schema:
        schema = self.of([setting])
        if setting.meaning:
            schema["description"] = setting.meaning
        if setting.default is not inspect.Parameter.empty:
            default = setting.default
            schema["default"] = list(default) if isinstance(default, tuple) else default
        return schema

    def _name(self, setting: Setting) -> str:
        """Return the name of the definition of a type, which is added if it is new."""
        text, known = describe(setting.type), None
        if setting.known:
            names, forms = setting.known.names(), setting.known.forms
            text, known = f"{text} such as {' or '.join([*forms, *names])}", _known(names, forms)
        if text not in self._names:
            name = "value-" + re.sub(r"\W+", "-", text).strip("-")
            name += f"-{len(self._names)}" if name in self.definitions else ""
            self._names[text] = name
            self.definitions[name] = _forms(setting.type, known)
        return self._names[text]


def _known(names: Iterable[str], forms: Iterable[str]) -> list[Schema]:
    """Return the schemas of known names, of further forms, and of the values that these mean."""
    keys = list(forms)
    meant = [{"type": "string", "pattern": f"^{key}:"} for key in keys]
    return [
        {"enum": list(names)},
        *meant,
        *(closed({key: {"type": "string"}}, [key]) for key in keys),
    ]


def _forms(declared: Any, known: list[Schema] | None = None) -> Schema:
    """Return the schema of all forms of a value of a type.

    Args:
        declared: Type annotation of the value.
        known: Schemas of the values, if the type does not list them.
    """
    one = {"anyOf": known} if known else of_type(declared)
    wrapped = closed({"value": one}, ["value"])
    item = {"anyOf": [one, wrapped]}
    choices = {"type": "array", "minItems": 1, "items": item, "description": "a choice"}
    inside: Schema = {"value": one, "choices": {**choices, "description": "values to choose from"}}
    plain = [wrapped]
    forms: list[Set[str]] = [{"value"}, {"choices"}]
    if number := _number(declared):
        inside |= _range_keys(number)
        plain.append(_one_of_forms(_range_keys(number), ranges.VALID_FORMS))
        forms = [form for form in conditions.FORMS if form in forms or form in ranges.VALID_FORMS]
    conditional = _one_of_forms(
        {"when": reference("when"), **inside}, [form | {"when"} for form in forms]
    )
    branches = {
        "type": "array",
        "contains": {"type": "object", "required": ["when"]},
        "items": {"anyOf": [conditional, one, choices, *plain]},
        "description": "the first condition that holds applies",
    }
    return {"anyOf": [*(known or _bare(declared)), choices, *plain, conditional, branches]}


def _one_of_forms(properties: Mapping[str, Any], forms: Iterable[Set[str]]) -> Schema:
    """Return the schema of a mapping whose keys are one of these sets."""
    sets = list(forms)
    smallest = [form for form in sets if not any(other < form for other in sets)]
    excluded: dict[str, Schema] = {}
    for key, other in itertools.permutations(properties, 2):
        if not any({key, other} <= form for form in sets):
            excluded.setdefault(key, {"properties": {}})["properties"][other] = False
    schema = closed(properties) | ({"dependentSchemas": excluded} if excluded else {})
    if len(smallest) == 1:
        return {**schema, "required": sorted(smallest[0])}
    return {**schema, "anyOf": [{"required": sorted(form)} for form in smallest]}


def _range_keys(number: str) -> Schema:
    return {
        "low": {"type": number, "description": "smallest value"},
        "high": {"type": number, "description": "largest value"},
        "log": {"type": ["boolean", "null"], "description": "whether the scale is logarithmic"},
        "step": {"type": number, "exclusiveMinimum": 0, "description": "distance of the values"},
        "num": {
            "type": "integer",
            "minimum": ranges.MIN_POINTS,
            "maximum": ranges.MAX_POINTS,
            "description": "number of values at equal distances",
        },
    }


def _members(declared: Any) -> tuple[Any, ...]:
    union = typing.get_origin(declared) in (Union, types.UnionType)
    return typing.get_args(declared) if union else (declared,)


def _number(declared: Any) -> str:
    """Return the JSON type of a setting's numbers; empty for a setting without numbers."""
    members = _members(declared)
    return "number" if float in members else "integer" if int in members else ""


def _bare(declared: Any) -> list[Schema]:
    """Return the schema of one value that needs no brackets: a list would be a choice."""
    members = [one for one in _members(declared) if typing.get_origin(one) not in (tuple, list)]
    return [of_type(Union[tuple(members)])] if members else []  # noqa: UP007 - known at run time
