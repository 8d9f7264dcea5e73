"""Files that are no sweep files: those of other tools, and any others without tasks."""

import dataclasses
from collections.abc import Collection

from raysweep.errors import SpecError, closest
from raysweep.sweepfile.document import Node
from raysweep.sweepfile.keys import ROWS, TEMPLATE, TOP
from raysweep.text import some

NEEDED = "a sweep needs at least name, tasks, estimators (or methods) and seeds"
PAGE = "see docs/sweep-file.md"


@dataclasses.dataclass(frozen=True)
class Tool:
    """Another tool, by the keys of its files.

    Args:
        file: Noun phrase for such a file.
        certain: Keys of which one is enough to know such a file.
        usual: Keys of which two are enough.
    """

    file: str
    certain: Collection[str]
    usual: Collection[str]


TOOLS = (
    Tool("the spec.json of a stored sweep, whose sweep.yaml is beside it", ("task_labels",), ()),
    Tool(
        "a W&B sweep",
        ("early_terminate", "run_cap"),
        ("method", "parameters", "program", "command", "metric", "entity", "project"),
    ),
    Tool("a Hydra configuration", ("hydra", "defaults"), ()),
    Tool("a SEML experiment", ("seml",), ("slurm", "fixed", "grid", "random")),
    Tool(
        "a configuration of Ray Tune",
        ("param_space", "tune_config", "search_alg"),
        ("num_samples", "config", "scheduler", "stop", "run_config", "run", "metric", "mode"),
    ),
    Tool(
        "an Optuna study",
        ("study_name", "n_trials"),
        ("direction", "directions", "sampler", "pruner", "search_space", "storage"),
    ),
    Tool(
        "an NNI experiment",
        ("searchSpace", "searchSpaceFile", "trialCommand"),
        ("tuner", "trialConcurrency", "maxTrialNumber"),
    ),
)


def refuse(root: Node, file: str) -> None:
    """Refuse a document that is no sweep.

    A file with a key for tasks or estimators, even a misspelt one, is a sweep with mistakes; so is
    one without an unknown key.

    Args:
        root: Root node of the document.
        file: Name of the file, for the message.

    Raises:
        SpecError: If it is none, with the tool whose file it looks like, in one line.
    """
    if not isinstance(root.value, dict):
        kind = "a list" if isinstance(root.value, list) else "text"
        raise SpecError(f"{file}: not a raysweep sweep file: it holds {kind}; {NEEDED}; {PAGE}")
    keys = [key for key in root.value if not key.startswith(TEMPLATE)]
    unknown = [key for key in keys if key not in TOP]
    if not unknown or any(_is_part(key) for key in keys):
        return
    inner = {
        key for node in root.value.values() if isinstance(node.value, dict) for key in node.value
    }
    for tool in TOOLS:
        for given in (keys, sorted(inner) if len(keys) == 1 else []):
            if shown := _signs(tool, given):
                raise SpecError(
                    f"{file}: not a raysweep sweep file: it looks like {tool.file} "
                    f"({'key' if len(shown) == 1 else 'keys'} {some(shown)}); {NEEDED}; {PAGE}"
                )
    raise SpecError(
        f"{file}: not a raysweep sweep file: it has no tasks and no estimators, but "
        f"{some(unknown)}; {NEEDED}; {PAGE}"
    )


def _is_part(key: str) -> bool:
    """Return whether a key is that of tasks or rows, or close to one of them.

    `method` alone is a key of Weights & Biases.
    """
    return key in ROWS or closest(key, ("tasks", "estimators")) is not None


def _signs(tool: Tool, keys: Collection[str]) -> list[str]:
    """Return the keys by which a file looks like one of a tool; none if it does not."""
    certain = [key for key in keys if key in tool.certain]
    usual = [key for key in keys if key in tool.usual]
    return [*certain, *usual] if certain or len(usual) > 1 else []
