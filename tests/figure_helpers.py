"""Small stores with results that are known by formula, written by the store's own code."""

from raysweep.api import Results
from raysweep.store import schema
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.runs import Run
from raysweep.sweepfile.reader import read_spec

TASKS = {"A": {"task": "toy"}, "B": {"task": "toy", "size": 2}}
ESTIMATORS = {
    "ST": {"estimator": "straight_through", "temperature": [1.0, 2.0]},
    "RF": {"estimator": "reinforce"},
}
STEPS = (10, 20, 30)


def spec_of(tasks=None, estimators=None, **more):
    """A sweep of three seeds, two tasks and two estimators, or others."""
    return read_spec(
        {
            "name": "hand",
            "tasks": TASKS if tasks is None else tasks,
            "estimators": ESTIMATORS if estimators is None else estimators,
            "seeds": 3,
            **more,
        }
    )


def loss(task, estimator, place, seed):
    """A final loss: the second configuration is better by 1, and seeds are 1 apart."""
    return {"A": 10.0, "B": 20.0}[task] - place + seed


def only_begun(task, estimator, place, seed):
    """One seed of one cell is still missing."""
    return None if (task, estimator, seed) == ("A", "ST", 2) else loss(task, estimator, place, seed)


def curve(final, step, last):
    """A curve that ends in `final` and takes an eighth of a second for a step."""
    return {
        "train_loss": final + (last - step),
        "distance": -final * step,
        "seconds": step / 8,
    }


def store_of(folder, spec, ended=loss, curve=curve, steps=STEPS, points=None, about=None):
    """The results of a sweep whose runs ended as a function says.

    Args:
        folder: Of the store.
        spec: The sweep.
        ended: (task label, estimator label, index of the cell, seed) to the final loss, to a
            status without one, or to None for a run that has not ended.
        curve: (final loss, step, last step) to a row of metrics; None for no curves.
        steps: At which curves have rows.
        points: (arm) to assignments of its searched settings; every one of a grid if None.
        about: (task label, estimator label, place, seed) to other columns of a run.
    """
    store = SweepStore(str(folder), spec.name)
    store.prepare(spec)
    runs, curves = {}, {}
    columns = schema.runs_schema(spec)
    for arm in spec.arms:
        for place, cell in enumerate(points(arm) if points else arm.cells()):
            configuration = arm.configuration(cell)
            for seed in (*spec.seeds, *spec.report_seeds):
                which = (arm.task_label, arm.estimator_label, place, seed)
                value = ended(*which)
                if value is None:
                    continue
                run = Run(configuration, seed)
                more = about(*which) if about else {}
                runs[run.run_id] = {**row(arm, run, value, columns), **more}
                if curve and isinstance(value, float):
                    curves[run.run_id] = [
                        {"run_id": run.run_id, "step": step, **curve(value, step, steps[-1])}
                        for step in steps
                    ]
    if runs:
        store.write_runs("all", runs.values(), columns)
    for run_id, own in curves.items():
        table = schema.rows_table(own, schema.curves_schema(spec))
        store.files.write_table(f"curves/{run_id}-0.parquet", table)
    return Results(folder, spec.name)


def row(arm, run, value, columns):
    """A row of `runs`."""
    done = isinstance(value, float)
    return {
        "run_id": run.run_id,
        "seed": run.seed,
        "status": "done" if done else value,
        "task": arm.task_label,
        "estimator": arm.estimator_label,
        "task_name": arm.task,
        "estimator_name": arm.estimator,
        "configuration_id": run.configuration.configuration_id,
        "metric.train_loss": value if done else None,
        "metric.distance": value if done else None,
        **schema.encode_settings(run.configuration.settings, columns),
    }


# A search over a choice, a range and a setting with a condition, and three of its configurations.
SPACE = {
    "optimizer": ["adam", "sgd"],
    "lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "momentum": {"when": {"optimizer": "sgd"}, "low": 0.0, "high": 0.8},
}
POINTS = (
    {"training.optimizer": "adam", "training.lr": 1e-3},
    {"training.optimizer": "sgd", "training.lr": 1e-4, "training.momentum": 0.6},
    {"training.optimizer": "sgd", "training.lr": 1e-2, "training.momentum": 0.0},
)


def searching(**more):
    """A sweep of one row on one task that searches `SPACE`."""
    search = {"sampler": "random", "configurations": 3}
    one = {"A": TASKS["A"]}
    return spec_of(one, {"RF": ESTIMATORS["RF"]}, training=SPACE, search=search, **more)
