"""Values of a setting in the file: one value, a list of choices, a range, or `{value: …}`."""

from collections.abc import Collection
from typing import Any

from raysweep.errors import nearest
from raysweep.registry import Setting
from raysweep.sweep.space import Choice, Fixed, Plain, coerce, same
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.ranges import FORMS, read_range, shown, translated

MOST_CHOICES = 1000  # of a setting, as each is compared with the others
NO_FILES = (
    "expected a known name, got a file; ask an admin to copy it into the data folder, and write "
    "its name there, such as npz:0123456789abcdef"
)


def domain(node: Node, setting: Setting, problems: Problems, *, ranges: bool) -> Plain | None:
    """Read the domain that a node describes; None, with a mistake, if it describes none.

    Args:
        node: Node of the value in the file.
        setting: Declared setting that the value is for.
        problems: Collector of the mistakes.
        ranges: Whether the search can use a range.
    """
    if isinstance(node.value, list):
        return _choice(node, setting, problems)
    if not isinstance(node.value, dict):
        return _fixed(node, setting, problems)
    if has_form(node, setting):
        return _fixed(node, setting, problems)
    keys = set(node.value)
    if keys == {"value"}:
        return _fixed(node.value["value"], setting, problems)
    if keys in FORMS:
        return read_range(node, setting, problems, ranges=ranges)
    given = "{" + ", ".join(node.value) + "}"
    problems.add(
        node.where,
        f"expected a value, a list of choices, {{low, high}} with log, step or num, {{value}} or "
        f"{{when, ...}} for {setting.name!r}, got {given}{translated(node)}",
    )
    return None


def member(node: Node, allowed: Collection[str], kind: str, problems: Problems) -> str | None:
    """Return the node's text if it is one of the allowed names; None, with a mistake, if not.

    Args:
        node: Node of the name.
        allowed: Names that are allowed.
        kind: Noun for such a name, for messages.
        problems: Collector of the mistakes.
    """
    if isinstance(node.value, str) and node.value in allowed:
        return node.value
    hint = nearest(str(node.plain()), allowed)
    problems.add(node.where, f"expected {kind}, got {node.plain()!r}{hint}")
    return None


def check_keys(node: Node, allowed: Collection[str], section: str, problems: Problems) -> bool:
    """Check whether the node is a mapping; unknown keys are added to the mistakes."""
    if not isinstance(node.value, dict):
        problems.add(node.where, f"expected {section} as a mapping, got {node.plain()!r}")
        return False
    for key, where, _ in node.items():
        if key not in allowed:
            problems.add(where, f"unknown key {key!r} in {section}{nearest(key, allowed)}")
    return True


def _fixed(node: Node, setting: Setting, problems: Problems) -> Fixed | None:
    if has_form(node, setting) and not problems.local_files:
        problems.add(node.where, f"{setting.name}: {NO_FILES}")
        return None
    try:
        return Fixed(coerce(_plain(node, setting), setting.type))
    except ValueError as error:
        problems.add(node.where, f"{setting.name}: {error}")
        return None


def has_form(node: Node, setting: Setting) -> bool:
    """Check whether a node is one of the setting's own forms, such as `{npz: FILE}`."""
    forms = setting.known.forms if setting.known else {}
    return isinstance(node.value, dict) and len(node.value) == 1 and set(node.value) <= set(forms)


def _plain(node: Node, setting: Setting) -> Any:
    """Return the node's value; of one of the setting's own forms, the value that it means.

    Raises:
        ValueError: If it is neither a form nor a known name, and the setting has such.
    """
    given = node.plain()
    if setting.known is None:
        return given
    if has_form(node, setting):
        ((key, text),) = given.items()
        if not isinstance(text, str):
            raise ValueError(f"expected {{{key}: FILE}}, got {text!r} as the file")
        return setting.known.forms[key](text)
    names, forms = setting.known.names(), setting.known.forms
    meant = isinstance(given, str) and given.partition(":")[0] in forms
    if isinstance(given, str) and given not in names and not meant:
        raise ValueError(f"expected a known name, got {given!r}{nearest(given, names)}")
    return given


def one_value(node: Node, setting: Setting, problems: Problems) -> Any:
    """Return the one value, plain or as `{value: …}`, that a node gives; None with a mistake."""
    wrapped = isinstance(node.value, dict) and set(node.value) == {"value"}
    fixed = _fixed(node.value["value"] if wrapped else node, setting, problems)
    return None if fixed is None else fixed.value


def _is_one_list(node: Node, setting: Setting) -> bool:
    """Check whether a list without any list in it would be a value of a setting of lists."""
    if any(isinstance(item.value, dict | list) for item in node.value):
        return False
    try:
        coerce(node.plain(), setting.type)
    except ValueError:
        return False
    return True


def _choice(node: Node, setting: Setting, problems: Problems) -> Plain | None:
    if not node.value:
        problems.add(node.where, f"expected at least one choice for {setting.name!r}, got []")
        return None
    if _is_one_list(node, setting):
        written = shown(node.plain())
        problems.add(
            node.where,
            f"{setting.name}: a list is a choice of values; write {{value: {written}}} for the "
            f"list {written} as one value",
        )
        return None
    if len(node.value) > MOST_CHOICES:
        problems.add(
            node.where,
            f"expected at most {MOST_CHOICES:,} choices for {setting.name!r}, got "
            f"{len(node.value):,}; write a range",
        )
        return None
    values: list[Any] = []
    for item in node.value:
        wrapped = isinstance(item.value, dict) and set(item.value) == {"value"}
        choice = item.value["value"] if wrapped else item
        fixed = _fixed(choice, setting, problems)
        if fixed is None:
            return None
        if any(same(fixed.value, value) for value in values):
            problems.add(
                choice.where,
                f"expected each choice of {setting.name!r} once, "
                f"got {choice.plain()!r} twice; remove one",
            )
            return None
        values.append(fixed.value)
    return Fixed(values[0]) if len(values) == 1 else Choice(tuple(values))
