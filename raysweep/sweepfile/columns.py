"""Parquet types of the columns of settings."""

import types
import typing
from collections.abc import Iterable
from typing import Any, Literal, Union

from raysweep import registry
from raysweep.sweep.spec import Arm

_PLAIN = {bool: "bool", int: "int64", float: "double", str: "string"}


def column_types(arms: Iterable[Arm]) -> dict[str, str]:
    """Return the column type of each setting of the arms: one plain type, or `json` if mixed."""
    types_by_key: dict[str, str] = {}
    for arm in arms:
        family = registry.task(arm.task).family
        declared = {
            **registry.task_settings(arm.task),
            **registry.estimator_settings(family, arm.estimator),
        }
        for key, setting in declared.items():
            kind = column_type(setting.type)
            types_by_key[key] = kind if types_by_key.get(key, kind) == kind else "json"
    return dict(sorted(types_by_key.items()))


def column_type(declared: Any) -> str:
    """Return `double`, `int64`, `bool` or `string` if all values are of one type, else `json`."""
    union = typing.get_origin(declared) in (Union, types.UnionType)
    members = typing.get_args(declared) if union else (declared,)
    kinds = {_kind(member) for member in members}
    kinds.discard("null")
    return kinds.pop() if len(kinds) == 1 else "json"


def _kind(declared: Any) -> str:
    if declared in (None, type(None)):
        return "null"
    if typing.get_origin(declared) is Literal:
        kinds = {_PLAIN.get(type(value), "json") for value in typing.get_args(declared)}
        return kinds.pop() if len(kinds) == 1 else "json"
    return _PLAIN.get(declared, "json")
