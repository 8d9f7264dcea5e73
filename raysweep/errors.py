"""Errors for users; each message is one line that says what to do.

RaysweepError
├── SpecError        the sweep file, an option or a name is wrong
├── StoreError       the store cannot be read or written
│   ├── LeaseHeld    another driver runs this sweep
│   ├── LeaseLost    this driver may no longer write
│   ├── DamagedFile  a file's content is not what raysweep wrote
│   └── FormatTooNew a later raysweep wrote the sweep
├── ClusterError     Ray cannot provide the resources of the sweep
├── TrackerError     a tracker of experiments cannot take results
├── ServerError      a service cannot be reached, or refuses a request
└── TooManyFailures  more runs failed than the sweep file allows
"""

import re
from collections.abc import Iterable, Mapping, Sequence


class RaysweepError(Exception):
    """Base of all errors that raysweep explains to its user.

    Args:
        text: Message in one line: what was expected, what was given, what to do.
        field: Name of the wrong argument, with which the message begins; the command line has
            an option of that name.
    """

    def __init__(self, text: str = "", *, field: str | None = None) -> None:
        self.text, self.field = text, field
        super().__init__(f"{field}: {text}" if field else text)


class SpecError(RaysweepError, ValueError):
    """Mistakes in the user's input; `problems` holds one line for each.

    Args:
        problems: Message in one line, or one line for each mistake.
        field: Name of the wrong argument, if there is only one mistake.
    """

    def __init__(self, problems: str | Iterable[str], *, field: str | None = None) -> None:
        lines = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(lines), field=field)
        self.problems = lines if field is None else [str(self)]


class StoreError(RaysweepError):
    """Failure to read or write the store."""


class LeaseHeld(StoreError):
    """Refusal of a sweep whose lease another live driver holds."""


class LeaseLost(StoreError):
    """Loss of the lease: the sweep was taken over, deleted, or out of reach for too long."""


class DamagedFile(StoreError):
    """File whose content is not what raysweep wrote.

    Args:
        message: Message in one line, which names the file and says what to do.
        name: Name of the file below the sweep's folder.
        reason: Part of the message that says what was expected and found.
    """

    def __init__(self, message: str, name: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.name, self.reason = name, reason or message


class FormatTooNew(StoreError):
    """Sweep in a format that only a later raysweep reads."""


class ClusterError(RaysweepError):
    """Failure of Ray or its nodes to provide the resources of the sweep."""


class TrackerError(RaysweepError):
    """Failure of a tracker of experiments, or of its server, to take results."""


class ServerError(RaysweepError):
    """Failure to reach a service, or its refusal of a request."""


class TooManyFailures(RaysweepError):
    """End of a session in which more runs failed than the sweep file allows."""


MEMORY_TEXTS = ("out of memory", "can't allocate memory", "cannot allocate memory")


def is_memory_error(error: BaseException) -> bool:
    """Return whether the memory of Python, the machine or a device (as torch reports) ran out."""
    return isinstance(error, MemoryError) or any(
        text in str(error).lower() for text in MEMORY_TEXTS
    )


class Stopped(KeyboardInterrupt):
    """Signal that ended the session before any run trained."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(exit_code)


# Names in other tools, and the names here that they may mean; the first that is valid is taken.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "bayes": ("tpe",),
    "bayesian": ("tpe",),
    "bo": ("gp", "tpe"),
    "gaussian_process": ("gp",),
    "hyperopt": ("tpe",),
    "optuna": ("tpe",),
    "cma": ("cmaes",),
    "cma_es": ("cmaes",),
    "sobol": ("qmc",),
    "halton": ("qmc",),
    "nsga": ("nsga2",),
    "nsgaii": ("nsga2",),
    "uniform": ("random",),
    "exhaustive": ("grid",),
    "brute_force": ("grid",),
    "sha": ("asha",),
    "successive_halving": ("asha",),
    "median_stopping": ("median",),
    "bohb": ("hyperband",),
    "minimize": ("min",),
    "minimise": ("min",),
    "minimum": ("min",),
    "maximize": ("max",),
    "maximise": ("max",),
    "maximum": ("max",),
    "goal": ("mode",),
    "direction": ("mode",),
    "method": ("sampler", "estimator"),
    "algorithm": ("sampler",),
    "num_samples": ("configurations",),
    "n_trials": ("configurations",),
    "trials": ("configurations",),
    "run_cap": ("configurations",),
    "grace_period": ("grace",),
    "min_iter": ("grace",),
    "reduction_factor": ("reduction",),
    "eta": ("eta", "reduction"),
    "learning_rate": ("lr",),
    "wd": ("weight_decay",),
    "eps": ("epsilon",),
    "bs": ("batch_size",),
    "epochs": ("steps",),
    "iterations": ("steps",),
    "max_steps": ("steps",),
    "num_steps": ("steps",),
    "tau": ("temperature",),
    "st": ("straight_through",),
    "ste": ("straight_through",),
    "rloo": ("reinforce_loo",),
    "gumbel": ("gumbel_softmax",),
    "tb": ("tensorboard",),
    "weights_and_biases": ("wandb",),
    "w&b": ("wandb",),
}


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return a hint for an unknown name: the closest valid name, and all of them if few."""
    names = sorted(valid)
    hint = _guess(name, names)
    listed = ", ".join(names) if len(names) <= 40 else f"{len(names)} names"
    return f"{hint} (known: {listed})" if names else hint


def one_of(name: str, valid: Iterable[str]) -> str:
    """Return the message for an unknown name of a few: the names in order, and the closest."""
    names = list(valid)
    return f"expected {', '.join(names[:-1])} or {names[-1]}, got {name!r}{_guess(name, names)}"


def closest(name: str, names: Sequence[str]) -> str | None:
    """Return the name that a text may mean: by another tool's name, a typo, or a word of it."""
    given = _plain(name)
    meant = [other for other in SYNONYMS.get(given, ()) if other in names]
    close = meant or _misspelt(given, names) or _part_of(given, names)
    return close[0] if close else None


def _guess(name: str, names: Sequence[str]) -> str:
    meant = closest(name, names)
    return f"; did you mean {meant!r}?" if meant is not None else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _misspelt(given: str, names: Sequence[str]) -> list[str]:
    """Return the names that a few wrong letters, or a section, keep from being a text; best first.

    One wrong letter is allowed in a short name and three in a long one: more fit unrelated words.
    """
    most = min(3 if len(given) >= 12 else 2 if len(given) >= 5 else 1, len(given) - 1)
    close = []
    for name in names:
        written = {_plain(name), _plain(name.rpartition(".")[2])}
        if (edits := min(_edits(given, other, most) for other in written)) <= most:
            close.append((edits, name))
    return [name for _, name in sorted(close)]


def _part_of(given: str, names: Sequence[str]) -> list[str]:
    """Return the one name that begins with a text, or has it as a word; none if several do."""
    fitting = [
        name
        for name in names
        if _plain(name).startswith(given) or given in re.split(r"[ ._]", _plain(name))
    ]
    return fitting if len(fitting) == 1 and len(given) >= 3 else []


def _edits(first: str, second: str, most: int) -> int:
    """Return the number of letters to add, drop, replace or swap with the next; at most `most` + 1.

    It is the optimal string alignment distance.
    """
    if abs(len(first) - len(second)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(second) + 1))
    for at, letter in enumerate(first, 1):
        row = [at]
        for index, other in enumerate(second, 1):
            edits = min(last[index] + 1, row[-1] + 1, last[index - 1] + (letter != other))
            if at > 1 and index > 1 and (letter, first[at - 2]) == (second[index - 2], other):
                edits = min(edits, before[index - 2] + 1)
            row.append(edits)
        if min(row) > most and min(last) > most:
            return most + 1
        before, last = last, row
    return min(last[-1], most + 1)
