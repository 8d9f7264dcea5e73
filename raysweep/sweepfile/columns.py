"""The Parquet type of each setting's column."""

import types
import typing
from collections.abc import Iterable
from typing import Any, Literal, Union

from raysweep import registry
from raysweep.sweep.spec import Arm

_PLAIN = {bool: "bool", int: "int64", float: "double", str: "string"}


def column_types(arms: Iterable[Arm]) -> dict[str, str]:
    """The column type of every setting of the arms: one plain type, or `json` for mixed ones."""
    found: dict[str, str] = {}
    for arm in arms:
        family = registry.task(arm.task).family
        declared = {
            **registry.task_settings(arm.task),
            **registry.estimator_settings(family, arm.estimator),
        }
        for key, setting in declared.items():
            kind = column_type(setting.type)
            found[key] = kind if found.get(key, kind) == kind else "json"
    return dict(sorted(found.items()))


def column_type(declared: Any) -> str:
    """`double`, `int64`, `bool` or `string` where all values are of one type, else `json`."""
    union = typing.get_origin(declared) in (Union, types.UnionType)
    kinds = {_kind(each) for each in (typing.get_args(declared) if union else (declared,))}
    kinds.discard("null")
    return kinds.pop() if len(kinds) == 1 else "json"


def _kind(declared: Any) -> str:
    if declared in (None, type(None)):
        return "null"
    if typing.get_origin(declared) is Literal:
        kinds = {_PLAIN.get(type(value), "json") for value in typing.get_args(declared)}
        return kinds.pop() if len(kinds) == 1 else "json"
    return _PLAIN.get(declared, "json")
