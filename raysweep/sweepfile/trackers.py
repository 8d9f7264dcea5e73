"""The section `tracker` of a sweep file: names of trackers, and what each of them writes to."""

from raysweep.store.uri import has_credentials
from raysweep.sweep.options import TRACKERS
from raysweep.sweepfile.document import Node, Problems
from raysweep.sweepfile.values import check_keys, member


def read(node: Node | None, problems: Problems) -> dict[str, str | None]:
    """Read the trackers, with the folder, project or URI of each; None for the default.

    Args:
        node: Node of the section; None if it is absent.
        problems: Collector of the mistakes.
    """
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        name = member(node, TRACKERS, "a tracker", problems)
        return {} if name is None else {name: None}
    check_keys(node, TRACKERS, "tracker", problems)
    if not node.value:
        problems.add(node.where, "expected tracker: NAME or {NAME: TARGET}, got {}")
    return {
        name: _target(name, child, problems) for name, _, child in node.items() if name in TRACKERS
    }


def _target(name: str, node: Node, problems: Problems) -> str | None:
    target = node.value
    if target is None:
        return None
    if not isinstance(target, str) or not target.strip():
        problems.add(node.where, f"expected a {TRACKERS[name]}, got {node.plain()!r}")
        return None
    if has_credentials(target):
        problems.add(
            node.where,
            f"expected a {TRACKERS[name]} without credentials, as the store keeps the file; "
            "pass them in the environment",
        )
    return target.strip()
