"""Training problems with discrete variables, and the one table of their names.

A task is a module, or a package whose `task.py` declares it. `vae/` holds three tasks, a module
each, which share its other modules, and `sbn/` those of stochastic binary networks; `images/`
serves the tasks of images, `training/` and `data/` all tasks.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from raysweep.tasks.base import Metric as Metric
from raysweep.tasks.base import Replica as Replica
from raysweep.tasks.base import Task as Task
from raysweep.tasks.base import Training as Training
from raysweep.tasks.gmm.task import Gmm as Gmm
from raysweep.tasks.gradient_quality.task import GradientQuality as GradientQuality
from raysweep.tasks.listops.task import ListOps as ListOps
from raysweep.tasks.nas.tabular import NasTabular as NasTabular
from raysweep.tasks.nas.task import Nas as Nas
from raysweep.tasks.polynomial import Polynomial as Polynomial
from raysweep.tasks.sbn.classifier.task import SbnClassifier as SbnClassifier
from raysweep.tasks.sbn.generative import SbnGenerative as SbnGenerative
from raysweep.tasks.sbn.gradient_quality import SbnGradientQuality as SbnGradientQuality
from raysweep.tasks.sbn.structured import SbnStructured as SbnStructured
from raysweep.tasks.vae.bernoulli import BernoulliVae as BernoulliVae
from raysweep.tasks.vae.categorical import CategoricalVae as CategoricalVae
from raysweep.tasks.vae.structured_prediction import StructuredPrediction as StructuredPrediction

TASKS: Mapping[str, Task[Any]] = {
    task.name: task
    for task in (
        Polynomial(),
        CategoricalVae(),
        BernoulliVae(),
        StructuredPrediction(),
        Gmm(),
        ListOps(),
        GradientQuality(),
        SbnClassifier(),
        SbnGradientQuality(),
        SbnGenerative(),
        SbnStructured(),
        NasTabular(),
        Nas(),
    )
}


def names() -> list[str]:
    """Return every task's name."""
    return list(TASKS)


def get(name: str) -> Task[Any]:
    """Return the task of that name.

    Raises:
        ValueError: If there is none; the message names the nearest.
    """
    if name not in TASKS:
        nearest = difflib.get_close_matches(name, TASKS, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {name}{hint}")
    return TASKS[name]
