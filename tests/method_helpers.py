"""Small sweeps whose rows are methods: settings of a task that takes no estimator."""

from figure_helpers import loss, store_of

from raysweep import registry
from raysweep.sweepfile.reader import read_spec
from raysweep.testing.toy import ToyAlone

TASKS = {"A": {"task": "toy_alone"}, "B": {"task": "toy_alone", "size": 2}}
METHODS = {"slow": {"lr": [0.1, 0.2]}, "fast": {"lr": [0.5, 0.6]}}
ESTIMATORS = {"ST": {"estimator": "straight_through"}}


def method_spec(**sections):
    """A sweep of two tasks, two methods and three seeds, or with other sections."""
    file = {"name": "walks", "tasks": TASKS, "methods": METHODS, "seeds": 3, **sections}
    with registry.added([ToyAlone()]):
        return read_spec(file)


def better_if_fast(task, method, place, seed):
    """A final loss: that of the method `fast` is better by 3."""
    return loss(task, method, place, seed) - 3.0 * (method == "fast")


def method_store(folder, **sections):
    """The results of such a sweep, written by hand."""
    return store_of(folder, method_spec(**sections), better_if_fast)


def mixed_store(folder):
    """The results of a sweep with methods and an estimator."""
    tasks = {"A": {"task": "toy_alone"}, "B": {"task": "toy"}}
    return method_store(folder, name="mixed", tasks=tasks, estimators=ESTIMATORS)
