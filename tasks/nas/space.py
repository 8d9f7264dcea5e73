"""The topology space of NATS-Bench: 15,625 cells of six edges with one of five operations each.

A code has an operation for every edge, as its index in `OPERATIONS`. NATS-Bench writes a cell as
the incoming edges of each node, `|skip_connect~0|+|none~0|nor_conv_1x1~1|+…`.

References:
    Dong, Liu, Musial, Gabrys (2021), "NATS-Bench", arXiv:2009.00437, section 3.1.
"""

from collections.abc import Sequence

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = (
    (1, 0),
    (2, 0),
    (2, 1),
    (3, 0),
    (3, 1),
    (3, 2),
)  # node and its input, in NATS-Bench's order

Code = tuple[int, ...]


def cell_text(code: Sequence[int]) -> str:
    """Return NATS-Bench's text of a cell.

    Raises:
        ValueError: If the code has another length, or an operation that there is not.
    """
    if len(code) != len(EDGES) or not all(0 <= op < len(OPERATIONS) for op in code):
        raise ValueError(
            f"expected {len(EDGES)} operations from 0 to {len(OPERATIONS) - 1}, got {list(code)}"
        )
    nodes: dict[int, list[str]] = {}
    for (node, source), op in zip(EDGES, code, strict=True):
        nodes.setdefault(node, []).append(f"{OPERATIONS[op]}~{source}")
    return "+".join(f"|{'|'.join(edges)}|" for edges in nodes.values())


def code_of(text: str) -> Code:
    """Return the code of a cell from NATS-Bench's text.

    Raises:
        ValueError: If the text is no cell of this space.
    """
    names = [edge.partition("~")[0] for edge in text.replace("+", "").split("|") if edge]
    code = tuple(OPERATIONS.index(name) if name in OPERATIONS else -1 for name in names)
    if len(code) != len(EDGES) or -1 in code or cell_text(code) != text:
        raise ValueError(f"expected a cell as {cell_text((0,) * len(EDGES))}, got {text}")
    return code
