"""A YAML document as plain nodes that remember where they stand in the file."""

import dataclasses
import io
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from raysweep.errors import SpecError

_TAG = "tag:yaml.org,2002:"
_SCALARS = {"str", "int", "float", "bool", "null"}
_MAX_NODES = 100_000  # aliases can make a small file describe an enormous one


@dataclasses.dataclass
class Node:
    """One value of the document.

    Args:
        value: `dict[str, Node]`, `list[Node]`, or a plain scalar.
        where: Where it stands, as errors begin: `FILE: line N`.
        key_where: For a mapping, where each of its keys stands.
    """

    value: Any
    where: str
    key_where: dict[str, str] = dataclasses.field(default_factory=dict)

    def plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def items(self) -> Iterator[tuple[str, str, "Node"]]:
        """Of a mapping: each key, where it stands, and its node."""
        for key, node in self.value.items():
            yield key, self.key_where[key], node


class Problems:
    """Mistakes found so far; a file's are reported together."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, where: str, message: str) -> None:
        """Notes a mistake once."""
        line = f"{where}: {message}"
        if line not in self.lines:
            self.lines.append(line)

    def stop(self) -> None:
        """Raises what was found, if anything was.

        Raises:
            SpecError: With one line per mistake, in the file's order.
        """
        if self.lines:
            raise SpecError(sorted(self.lines, key=_line_number))


def _line_number(problem: str) -> int:
    found = re.search(r": line (\d+): ", problem)
    return int(found.group(1)) if found else 0


def read(text: str, file: str) -> Node:
    """The document's nodes (YAML 1.2, one document, plain values only).

    Args:
        text: The document.
        file: Its name in messages.

    Raises:
        SpecError: If it is not such a document; each mistake with its line.
    """
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        what = error.problem or error.context or "cannot be read"
        raise SpecError(f"{file}: line {line}: expected YAML, {what}") from error
    except (YAMLError, RecursionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SpecError(f"{file}: line 1: expected YAML, {reason}") from error
    if root is None:
        raise SpecError(f"{file}: line 1: expected a sweep (name, tasks, estimators), got nothing")
    reader = _Reader(file)
    node = reader.node(root, ())
    reader.problems.stop()
    return node


def parse_value(text: str, where: str) -> Node:
    """One value as the file's own rules read it, for a value given on the command line."""
    if not text.strip():
        raise SpecError(f"{where}: expected a value after '=', got nothing")
    try:
        node = read(text, where)
    except SpecError as error:
        raise SpecError([line.replace(": line 1:", ":") for line in error.problems]) from error
    return _placed(node, where)


def dump_plain(data: Any) -> str:
    """Plain data as YAML text."""
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(data, stream)
    return stream.getvalue()


def _placed(node: Node, where: str) -> Node:
    """The node, all of it standing in one place."""
    if isinstance(node.value, dict):
        value: Any = {key: _placed(each, where) for key, each in node.value.items()}
        return Node(value, where, dict.fromkeys(value, where))
    if isinstance(node.value, list):
        return Node([_placed(each, where) for each in node.value], where)
    return Node(node.value, where)


class _Reader:
    """Turns ruamel's nodes into ours; collects mistakes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems = Problems()
        self.count = 0
        self.constructor = YAML(typ="safe", pure=True).constructor

    def node(self, yaml: YamlNode, above: tuple[int, ...]) -> Node:
        where = f"{self.file}: line {yaml.start_mark.line + 1}"
        self.count += 1
        if id(yaml) in above or self.count > _MAX_NODES:
            raise SpecError(
                f"{where}: expected a file of at most {_MAX_NODES:,} values, "
                "got aliases that repeat without end; write them out"
            )
        inside = (*above, id(yaml))
        kind = str(yaml.tag).removeprefix(_TAG)
        if isinstance(yaml, MappingNode) and kind == "map":
            return self.mapping(yaml, where, inside)
        if isinstance(yaml, SequenceNode) and kind == "seq":
            return Node([self.node(each, inside) for each in yaml.value], where)
        if isinstance(yaml, ScalarNode) and kind == "timestamp":
            return Node(str(yaml.value), where)
        if isinstance(yaml, ScalarNode) and kind in _SCALARS:
            return Node(self.scalar(yaml, where), where)
        self.problems.add(where, f"expected plain values, got the tag {kind!r}; remove it")
        return Node(None, where)

    def scalar(self, yaml: ScalarNode, where: str) -> Any:
        try:
            value = self.constructor.construct_object(yaml, deep=True)
        except (ValueError, YAMLError):
            self.problems.add(where, f"expected a plain value, got {yaml.value!r}")
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
                self.problems.add(key_where, "expected a plain key, got a list or a mapping")
                continue
            key = str(key_node.value)
            if key in node.value:
                first = node.key_where[key].rpartition("line ")[2]
                self.problems.add(
                    key_where,
                    f"expected each key once, got {key!r} again "
                    f"(first on line {first}); remove or rename one",
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
        """What `<<:` brings in: mappings whose keys count where the mapping itself has none."""
        node = self.node(yaml, inside)
        found = node.value if isinstance(node.value, list) else [node]
        if not all(isinstance(each.value, dict) for each in found):
            self.problems.add(where, "expected a mapping, or a list of mappings, after '<<'")
            return []
        return found
