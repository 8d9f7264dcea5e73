"""MLflow: an experiment for a sweep, a run for each configuration, and its seeds nested in it."""

import collections
import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from raysweep.errors import SpecError, TrackerError
from raysweep.results.stats.summary import mean, std
from raysweep.store.uri import is_uri
from raysweep.sweep.settings import canonical_json
from raysweep.text import recorded
from raysweep.trackers.runs import Names, Point, TrackedRun, metrics

FINAL, MEAN, STD = "final/", "mean/", "std/"
AT_ONCE, PARAMS_AT_ONCE, PAGE = 1000, 100, 1000  # limits of MLflow for one request
LONGEST_PARAM, LONGEST_NAME = 6000, 250  # characters
OF_SEED = ("seed", "run_id", "task", "estimator")  # what is not of a configuration
DATABASES = (".db", ".sqlite", ".sqlite3")
STATUS = {"done": "FINISHED", "stopped": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
SWEEP, RUN, CONFIGURATION, STAMP, RESULT = (
    f"raysweep.{name}" for name in ("sweep", "run_id", "configuration_id", "result", "status")
)
_UNSAFE = re.compile(r"[^/\w.\- :]")


@dataclasses.dataclass
class _Child:
    """Run of MLflow that shows a run.

    Args:
        id: Identity of the run in MLflow.
        stamp: Mark of the run's result; None while it trains.
        done: Final metrics of a run that ended as `done`.
        last: Last step of each metric; None if it is not known.
    """

    id: str
    stamp: str | None = None
    done: Mapping[str, float] | None = None
    last: dict[str, int] | None = None


class Mlflow:
    """Experiment of MLflow.

    Args:
        uri: URI of MLflow, or the path of a folder, for a database in it.
        experiment: Name of the experiment.
        names: Names of the runs.

    Raises:
        SpecError: If the folder cannot be used.
        TrackerError: If MLflow does not answer.
    """

    takes_parts = True

    def __init__(self, uri: str, experiment: str, names: Names) -> None:
        self.names, self.shown = names, shown(uri)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # 7 take minutes
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # of every run
        for name in ("mlflow.store.db.utils", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._children: dict[str, _Child] = {}
        self._parents: dict[str, tuple[str, str]] = {}  # identity in MLflow, and name
        self._of_parent: dict[str, set[str]] = collections.defaultdict(set)
        self._changed: dict[str, int] = {}  # configurations, with the time of their last end
        with self._explained():
            self.client = MlflowClient(tracking_uri=resolved(uri))
            self.experiment = self._experiment(experiment, uri)
            self._read()

    def has(self, run_id: str, stamp: str) -> bool:
        """Return whether the experiment has all of a run that ended with this stamp."""
        child = self._children.get(run_id)
        return child is not None and child.stamp == stamp

    def write(self, run: TrackedRun, points: Sequence[Point]) -> None:
        """Log the points that MLflow lacks and, at the end of the run, its result.

        Raises:
            TrackerError: If MLflow does not take them.
        """
        with self._explained():
            child = self._children.get(run.run_id)
            if child is not None and child.stamp is not None:  # of an earlier result
                self.client.delete_run(child.id)
                self._children.pop(run.run_id)
                child = None
            is_new = child is None
            child = child or self._create(run)
            if child.last is None:
                self._log_params(child.id, self.names.config(run))
                child.last = {} if is_new else self._last_steps(child.id, points)
            self._log_points(child, run, points)
            if run.stamp is not None:
                self._end(child, run)

    def flush(self) -> None:
        """Log the mean over seeds of each configuration of which a run ended.

        Raises:
            TrackerError: If MLflow does not take it.
        """
        with self._explained():
            for configuration_id, time in list(self._changed.items()):
                parent, _ = self._parents[configuration_id]
                children = [self._children[run_id] for run_id in self._of_parent[configuration_id]]
                done = [child.done for child in children if child.done is not None]
                self.client.log_batch(parent, metrics=_means(done, time))
                self.client.set_terminated(parent, "FINISHED", end_time=time)
                del self._changed[configuration_id]

    def _experiment(self, name: str, uri: str) -> str:
        known = self.client.get_experiment_by_name(name)
        if known is None:
            database, note = database_of(uri), self.names.spec.description
            return self.client.create_experiment(
                name,
                artifact_location=(database.parent / "artifacts").as_uri() if database else None,
                tags={"mlflow.note.content": note} if note else {},
            )
        if known.lifecycle_stage != "active":
            raise SpecError(
                f"the experiment {name!r} in {self.shown} is deleted; restore it, or name another "
                "one",
                field="experiment",
            )
        return str(known.experiment_id)

    def _read(self) -> None:
        """Read which runs of the sweep MLflow has."""
        token = None
        condition = f"tags.`{SWEEP}` = '{self.names.spec.name}'"
        while True:
            page = self.client.search_runs([self.experiment], condition, 1, PAGE, page_token=token)
            for one in page:
                configuration_id = one.data.tags.get(CONFIGURATION, "")
                run_id = one.data.tags.get(RUN)
                if run_id is None:
                    self._parents[configuration_id] = one.info.run_id, one.info.run_name
                    continue
                is_done = one.data.tags.get(RESULT) == "done"
                done = _final(one.data.metrics) if is_done else None
                child = _Child(one.info.run_id, one.data.tags.get(STAMP), done)
                self._children[run_id] = child
                self._of_parent[configuration_id].add(run_id)
            if not (token := page.token):
                return

    def _create(self, run: TrackedRun) -> _Child:
        parent = self._parent(run)
        tags = {"mlflow.parentRunId": parent, RUN: run.run_id, RESULT: "running", **self._tags(run)}
        child = _Child(self._create_run(self.names.run(run), run, tags))
        self._children[run.run_id] = child
        self._of_parent[run.configuration_id].add(run.run_id)
        return child

    def _parent(self, run: TrackedRun) -> str:
        """Return the run of a configuration, with its present name."""
        name = self.names.configuration(run)[-LONGEST_NAME:]
        known = self._parents.get(run.configuration_id)
        if known is None:
            parent = self._create_run(name, run, self._tags(run))
            config = self.names.config(run)
            self._log_params(parent, {k: v for k, v in config.items() if k not in OF_SEED})
        else:
            parent, former_name = known
            if former_name != name:
                self.client.update_run(parent, name=name)
        self._parents[run.configuration_id] = parent, name
        return parent

    def _create_run(self, name: str, run: TrackedRun, tags: dict[str, str]) -> str:
        created = self.client.create_run(
            self.experiment, start_time=_ms(run.start), tags=tags, run_name=name[-LONGEST_NAME:]
        )
        return str(created.info.run_id)

    def _tags(self, run: TrackedRun) -> dict[str, str]:
        """Return the tags of a run and of its configuration."""
        spec = self.names.spec
        return {
            SWEEP: spec.name,
            CONFIGURATION: run.configuration_id,
            "task": run.task,
            "estimator": run.estimator,
            "job": self.names.job(run),
            **dict.fromkeys(map(_key, spec.tags), "true"),
        }

    def _log_params(self, mlflow_id: str, config: Mapping[str, Any]) -> None:
        params = [Param(_key(key), _param(value)) for key, value in config.items()]
        for first in range(0, len(params), PARAMS_AT_ONCE):
            self.client.log_batch(mlflow_id, params=params[first : first + PARAMS_AT_ONCE])

    def _last_steps(self, mlflow_id: str, points: Sequence[Point]) -> dict[str, int]:
        known = self.client.get_run(mlflow_id).data.metrics
        keys = {_key(name) for point in points for name in metrics(point)} & known.keys()
        histories = {key: self.client.get_metric_history(mlflow_id, key) for key in keys}
        return {key: max(one.step for one in history) for key, history in histories.items()}

    def _log_points(self, child: _Child, run: TrackedRun, points: Sequence[Point]) -> None:
        last = child.last or {}
        new = [
            Metric(_key(name), value, _ms(run.time(point)), point["step"])
            for point in points
            for name, value in metrics(point).items()
            if point["step"] > last.get(_key(name), -1)
        ]
        child.last = None  # until all are logged
        for first in range(0, len(new), AT_ONCE):
            self.client.log_batch(child.id, metrics=new[first : first + AT_ONCE])
        child.last = {**last, **{one.key: one.step for one in new}}

    def _end(self, child: _Child, run: TrackedRun) -> None:
        time = _ms(run.ended_at.timestamp() if run.ended_at else run.start)
        values = {_key(f"{FINAL}{name}"): value for name, value in run.final.items()}
        error = run.row and run.row["error"]
        tags = {RESULT: run.status, **({"error": recorded(error)} if error else {})}
        known = self.client.get_run(child.id).data.metrics
        self.client.log_batch(
            child.id,
            metrics=[Metric(k, v, time, run.steps) for k, v in values.items() if k not in known],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        self.client.set_terminated(child.id, STATUS[run.status], end_time=time)
        self.client.set_tag(child.id, STAMP, run.stamp)
        child.stamp, child.last = run.stamp, None
        child.done = _final(values) if run.status == "done" else None
        changed = max(time, self._changed.get(run.configuration_id, 0))
        self._changed[run.configuration_id] = changed

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SpecError, TrackerError):
            raise
        except Exception as error:
            text = recorded(str(error), 300)
            if "Max retries exceeded" in str(error):
                text = "its server does not answer, or fails; start it, or check the URI"
            raise TrackerError(f"MLflow at {self.shown}: {text}") from error


def database_of(uri: str) -> Path | None:
    """Return the path of the database that a path means; None for the URI of another store.

    A folder means a database in it, as MLflow no longer writes runs as files.
    """
    is_file = uri.startswith("file:")
    if uri == "databricks" or (is_uri(uri) and not is_file):
        return None
    text = unquote(urlsplit(uri).path) if is_file else uri
    path = Path(text).expanduser().absolute()
    return path if path.suffix in DATABASES else path / "mlflow.db"


def resolved(uri: str) -> str:
    """Return the URI that MLflow takes: for a path, that of a database.

    Raises:
        SpecError: If the folder cannot be created.
    """
    database = database_of(uri)
    if database is None:
        return uri
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(f"{database.parent}: {error.strerror or error}", field="uri") from error
    return f"sqlite:///{database}"


def shown(uri: str) -> str:
    """Return a URI without its user and password, for messages."""
    return re.sub(r"//[^/@]*@", "//", uri.partition("?")[0])


def _means(done: Sequence[Mapping[str, float]], time: int) -> list[Metric]:
    """Return mean and standard deviation of each final metric, at the number of seeds as step."""
    means = []
    for name in dict.fromkeys(name for final in done for name in final):
        values = [final[name] for final in done if name in final]
        means.append(Metric(f"{MEAN}{name}", mean(values), time, len(values)))
        if (spread := std(values)) is not None:
            means.append(Metric(f"{STD}{name}", spread, time, len(values)))
    return means


def _final(known: Mapping[str, float]) -> dict[str, float]:
    """Return the final metrics among all metrics of a run of MLflow."""
    return {key.removeprefix(FINAL): value for key, value in known.items() if key.startswith(FINAL)}


def _key(name: str) -> str:
    """Return a name without the characters that MLflow refuses."""
    return _UNSAFE.sub("_", name)


def _param(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= LONGEST_PARAM else f"{text[: LONGEST_PARAM - 1]}…"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
