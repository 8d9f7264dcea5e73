"""Training problems with discrete variables, and the one table of their names."""

import difflib
from collections.abc import Mapping

from tasks.base import Metric as Metric
from tasks.base import Replica as Replica
from tasks.base import Task as Task
from tasks.base import Training as Training
from tasks.gmm.task import Gmm as Gmm
from tasks.gradient_quality.task import GradientQuality as GradientQuality
from tasks.polynomial import Polynomial as Polynomial
from tasks.vae.bernoulli import BernoulliVae as BernoulliVae
from tasks.vae.categorical import CategoricalVae as CategoricalVae
from tasks.vae.structured_prediction import StructuredPrediction as StructuredPrediction

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Polynomial(),
        CategoricalVae(),
        BernoulliVae(),
        StructuredPrediction(),
        Gmm(),
        GradientQuality(),
    )
}


def names() -> list[str]:
    """Every task's name."""
    return list(TASKS)


def get(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: If there is none; the message names the nearest.
    """
    if name not in TASKS:
        nearest = difflib.get_close_matches(name, TASKS, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {name}{hint}")
    return TASKS[name]
