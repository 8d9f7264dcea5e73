"""YAML documents as plain nodes with their positions in the file."""

import dataclasses
import io
import re
import sys
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from raysweep.errors import SpecError
from raysweep.text import some

_TAG = "tag:yaml.org,2002:"
_SCALARS = {"str", "int", "float", "bool", "null"}
_MAX_NODES = 100_000  # aliases can make a small file describe an enormous one
MOST_MISTAKES = 1000  # mistakes that are looked for


@dataclasses.dataclass
class Node:
    """One value of the document.

    Args:
        value: `dict[str, Node]`, `list[Node]`, or a plain scalar.
        where: Position of the value, as messages begin: `FILE: line N`.
        key_where: Position of each key of a mapping.
    """

    value: Any
    where: str
    key_where: dict[str, str] = dataclasses.field(default_factory=dict)

    def plain(self) -> Any:
        """Return the value without positions."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def items(self) -> Iterator[tuple[str, str, "Node"]]:
        """Yield each key of a mapping with its position and its node."""
        for key, node in self.value.items():
            yield key, self.key_where[key], node


class Problems:
    """Mistakes of a file, collected so that they are reported together.

    Args:
        local_files: Whether the file may name other files of this machine, as of images.
    """

    def __init__(self, *, local_files: bool = True) -> None:
        self.lines: list[str] = []
        self.local_files = local_files
        self._known: set[str] = set()
        self._of_arms: dict[tuple[str, str], list[str]] = {}  # names, by position and message

    def add(self, where: str, message: str) -> None:
        """Add a mistake, unless it is there already.

        Raises:
            SpecError: If there are so many that no more are looked for.
        """
        line = f"{where}: {message}"
        if line in self._known:
            return
        self._known.add(line)
        self.lines.append(line)
        if len(self.lines) >= MOST_MISTAKES:
            more = (
                f"the file may have more than these {MOST_MISTAKES} mistakes; correct these first"
            )
            raise SpecError([*sorted(self.lines, key=_line_number), more])

    def add_once(self, where: str, message: str, hint: str) -> None:
        """Add a mistake, unless it is there already with any hint, such as that of another arm."""
        if not any(line.startswith(f"{where}: {message}") for line in self.lines):
            self.add(where, message + hint)

    def add_for(self, arm: str, where: str, message: str) -> None:
        """Add a mistake of one arm; that of several arms is reported once, with their names."""
        self._of_arms.setdefault((where, message), []).append(arm)

    def stop(self) -> None:
        """Raise the collected mistakes, if there are any.

        Raises:
            SpecError: With one line for each mistake, in the order of the file.
        """
        for (where, message), arms in self._of_arms.items():
            self.add(where, f"{some(arms)}: {message}")
        if self.lines:
            raise SpecError(sorted(self.lines, key=_line_number))


def _line_number(problem: str) -> int:
    match = re.search(r": line (\d+): ", problem)
    return int(match.group(1)) if match else 0


def read(text: str, file: str, problems: Problems | None = None) -> Node:
    """Read a document into nodes (YAML 1.2, one document, plain values only).

    Args:
        text: Text of the document.
        file: Name of the file, for messages.
        problems: Collector of mistakes such as duplicate keys; if None, they are raised.

    Raises:
        SpecError: If the text is not such a document; with the line of each mistake.
    """
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        reason = error.problem or error.context or "it cannot be read"
        if "'\\t'" in reason:
            reason = "a tab is not allowed here; use spaces"
        raise SpecError(f"{file}: line {line}: not valid YAML: {reason}") from error
    except (YAMLError, RecursionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SpecError(f"{file}: line 1: not valid YAML: {reason}") from error
    if root is None:
        raise SpecError(
            f"{file}: line 1: the file is empty; a sweep needs name, tasks, estimators (or "
            "methods) and seeds"
        )
    reader = _Reader(file, Problems() if problems is None else problems)
    node = reader.node(root, ())
    if problems is None:
        reader.problems.stop()
    return node


def parse_value(text: str, where: str) -> Node:
    """Read a value of the command line by the rules of the file."""
    if not text.strip():
        raise SpecError(f"{where}: no value after '='; write KEY=VALUE")
    try:
        node = read(text, where)
    except SpecError as error:
        raise SpecError([line.replace(": line 1:", ":") for line in error.problems]) from error
    return _moved(node, where)


def dump_plain(data: Any) -> str:
    """Return plain data as YAML text."""
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.width = sys.maxsize  # a key in two lines is not valid YAML
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(data, stream)
    return stream.getvalue()


def _moved(node: Node, where: str) -> Node:
    """Return the node with one position for all that it holds."""
    if isinstance(node.value, dict):
        value: Any = {key: _moved(child, where) for key, child in node.value.items()}
        return Node(value, where, dict.fromkeys(value, where))
    if isinstance(node.value, list):
        return Node([_moved(child, where) for child in node.value], where)
    return Node(node.value, where)


class _Reader:
    """Converter of ruamel's nodes, which collects mistakes."""

    def __init__(self, file: str, problems: Problems) -> None:
        self.file = file
        self.problems = problems
        self.count = 0
        self.constructor = YAML(typ="safe", pure=True).constructor

    def node(self, yaml: YamlNode, above: tuple[int, ...]) -> Node:
        where = f"{self.file}: line {yaml.start_mark.line + 1}"
        self.count += 1
        if id(yaml) in above or self.count > _MAX_NODES:
            raise SpecError(
                f"{where}: aliases expand to more than {_MAX_NODES:,} values, or contain "
                "themselves; write the values out instead"
            )
        inside = (*above, id(yaml))
        kind = str(yaml.tag).removeprefix(_TAG)
        if isinstance(yaml, MappingNode) and kind == "map":
            return self.mapping(yaml, where, inside)
        if isinstance(yaml, SequenceNode) and kind == "seq":
            return Node([self.node(item, inside) for item in yaml.value], where)
        if isinstance(yaml, ScalarNode) and kind == "timestamp":
            return Node(str(yaml.value), where)
        if isinstance(yaml, ScalarNode) and kind in _SCALARS:
            return Node(self.scalar(yaml, where), where)
        self.problems.add(where, f"the YAML tag {kind!r} is not supported; remove it")
        return Node(None, where)

    def scalar(self, yaml: ScalarNode, where: str) -> Any:
        try:
            value = self.constructor.construct_object(yaml, deep=True)
        except (ValueError, YAMLError):
            self.problems.add(
                where, f"cannot read the value {yaml.value!r}; put it in quotes if it is text"
            )
            return None
        for plain in (bool, int, float, str):
            if isinstance(value, plain):
                return plain(value)
        return None

    def mapping(self, yaml: MappingNode, where: str, inside: tuple[int, ...]) -> Node:
        node = Node({}, where)
        merged: list[Node] = []
        for key_node, value_node in yaml.value:
            key_where = f"{self.file}: line {key_node.start_mark.line + 1}"
            if str(key_node.tag) == _TAG + "merge":
                merged += self.merged(value_node, key_where, inside)
                continue
            if not isinstance(key_node, ScalarNode):
                self.problems.add(
                    key_where, "expected text or a number as a key, got a list or a mapping"
                )
                continue
            key = str(key_node.value)
            if key in node.value:
                first = node.key_where[key].rpartition("line ")[2]
                self.problems.add(
                    key_where,
                    f"the key {key!r} appears twice (first on line {first}); remove or rename one",
                )
                continue
            node.value[key] = self.node(value_node, inside)
            node.key_where[key] = key_where
        for other in merged:
            for key, key_where, value in other.items():
                if key not in node.value:
                    node.value[key], node.key_where[key] = value, key_where
        return node

    def merged(self, yaml: YamlNode, where: str, inside: tuple[int, ...]) -> list[Node]:
        """Return the mappings after `<<:`, whose keys count unless the mapping itself has them."""
        node = self.node(yaml, inside)
        mappings = node.value if isinstance(node.value, list) else [node]
        if not all(isinstance(mapping.value, dict) for mapping in mappings):
            self.problems.add(where, "expected a mapping, or a list of mappings, after '<<'")
            return []
        return mappings
