"""Small searches, driven by hand: no training, a value per run by formula."""

import itertools

from raysweep.scheduling.scheduler import Schedule
from raysweep.store import schema
from raysweep.store.rows import run_row
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.options import PRUNERS, EarlyStopping
from raysweep.sweep.packs import PackSize
from raysweep.sweepfile.reader import read_spec

SQUARE = {"x": {"low": -1.0, "high": 1.0}, "y": {"low": -1.0, "high": 1.0}}
TWO = {"metric": ["regret", "height"]}


def bowl(search, *, task=None, arms=1, **keys):
    """A sweep of the bowl, which knows where its best place is."""
    space = {key: dict(value) for key, value in SQUARE.items()} if task is None else task
    estimators = {
        f"E{place}": {"estimator": name}
        for place, name in enumerate(["straight_through", "reinforce", "reinmax"][:arms])
    }
    return read_spec(
        {
            "name": keys.pop("name", "bowls"),
            "tasks": {"bowl": {"task": "bowl", **space}},
            "estimators": estimators,
            "seeds": keys.pop("seeds", 1),
            "search": search,
            **keys,
        }
    )


def stopping(pruner, mode="min", metric="train_loss", **settings):
    """Early stopping with the pruner's defaults."""
    own = {key: default for key, (_, default, _) in PRUNERS[pruner].items()}
    return EarlyStopping(pruner, metric, mode, {**own, **settings})


def regret(settings):
    """How far a place is from the best one."""
    return (settings["task.x"] - 0.3) ** 2 + (settings["task.y"] + 0.4) ** 2


class Driver:
    """Ends packs by hand, as an executor would.

    Args:
        store: A folder.
        spec: The sweep.
        value: (settings, seed) to the metrics of a run, or to the status of one without.
        workers: Packs at once.
        pack: Runs per pack.
    """

    def __init__(self, store, spec, value=None, workers=1, pack="auto"):
        self.value = value or (lambda settings, seed: regret(settings) + 1e-3 * seed)
        self.store = SweepStore(str(store), spec.name)
        self.store.prepare(spec)
        self.spec = spec
        self.schedule = Schedule(spec, self.store)
        self.schedule.arrange(PackSize(pack, workers, lambda member: 8))
        self.columns = self.store.schema("runs", schema.runs_schema(spec))
        self.began = []
        self.most_in_flight = 0

    def take(self):
        """The next pack, noted."""
        pack = self.schedule.next_pack()
        if pack is not None:
            self.began += [run.run_id for run in pack.runs]
        self.most_in_flight = max(self.most_in_flight, len(self.schedule.in_flight))
        return pack

    def end(self, pack, **status):
        """Writes a pack's rows; `status` by seed, as `s0`, overrules the value."""
        rows = []
        for run in pack.runs:
            found = status.get(f"s{run.seed}") or self.value(run.settings, run.seed)
            rows.append(self._row(pack, run, found))
        self.store.write_runs(pack.pack_id, rows, self.columns)
        self.schedule.pack_ended(pack.pack_id)

    def _row(self, pack, run, found):
        outcome = {"status": "done", "steps": 27, "steps_executed": 27, "seconds": 1.0}
        if isinstance(found, str):
            outcome["status"] = found
        else:
            named = [each.metric for each in self.spec.select.all]
            values = found if isinstance(found, tuple) else (found,)
            outcome["metrics"] = dict(zip(named, values, strict=True))
        return run_row(self.spec.name, pack, run, self.columns, **outcome)

    def run(self, packs=None):
        """Ends so many packs, or all; the schedule's own order."""
        for _ in itertools.count() if packs is None else range(packs):
            pack = self.take()
            if pack is None:
                break
            self.end(pack)
        self.schedule.save()
        return self

    @property
    def rows(self):
        """Every row in the store."""
        return self.store.runs().to_pylist()
