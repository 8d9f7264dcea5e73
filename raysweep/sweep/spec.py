"""The checked sweep as plain data, without torch: arms, seeds, search and resources."""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from raysweep.sweep import sources, space
from raysweep.sweep.options import NO_BUDGET, Budget, EarlyStopping, Resources, Search, Select
from raysweep.sweep.points import Points
from raysweep.sweep.runs import Configuration, digest
from raysweep.sweep.settings import Settings, SharedSettings
from raysweep.sweep.space import Choice, Domain, Fixed, Range, Value

RowKind = Literal["estimator", "method"]
MODULES = ("task_module", "estimator_module")
SMOKE_STEPS = 3
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,69}")  # 64 characters, and "-smoke"


@dataclasses.dataclass(frozen=True, eq=False)
class Arm:
    """One labelled task with one labelled estimator, and the space of their settings.

    Args:
        task_label: Label of the task, a column of the result table.
        estimator_label: Label of the estimator, a row of the result table.
        task: Registry name of the task.
        task_version: Version of the task, raised when its results change.
        estimator: Registry name of the estimator.
        estimator_version: Version of the estimator, raised when its results change.
        space: Domain of each setting, by key `section.name`.
        defaults: Declared default of each setting.
        per_replica: Keys of the settings in which the runs of one pack may differ.
        task_module: Module that defines the task; empty where an older version wrote the arm.
        estimator_module: Module that defines the estimator; empty where an older version wrote
            the arm.
        smoke: Largest values in a trial run, by key; they are not stored.
        task_source: Text of the task's code, where no module holds it; it is not stored.
    """

    task_label: str
    estimator_label: str
    task: str
    task_version: int
    estimator: str
    estimator_version: int
    space: Mapping[str, Domain]
    defaults: Mapping[str, Value]
    per_replica: frozenset[str]
    task_module: str = ""
    estimator_module: str = ""
    smoke: Mapping[str, float] = dataclasses.field(default_factory=dict)
    task_source: str = ""

    @property
    def name(self) -> str:
        """The label of the estimator, then that of the task."""
        return f"{self.estimator_label} · {self.task_label}"

    @functools.cached_property
    def definition(self) -> str:
        """Identity of the versions and defaults that a configuration's identity depends on.

        Two runs with the same definition and the same settings have the same id.
        """
        return self.definition_with(self.defaults)

    def definition_with(self, defaults: Mapping[str, Value]) -> str:
        """Return the definition that the arm would have with these defaults."""
        return digest(
            {
                "task": [self.task, self.task_version],
                "estimator": [self.estimator, self.estimator_version],
                "defaults": dict(defaults),
            }
        )

    @functools.cached_property
    def code(self) -> str | None:
        """Digests of the present source of task and estimator; None if it cannot be read."""
        return sources.code(self.task_module, self.estimator_module, self.task_source)

    @functools.cached_property
    def points(self) -> Points:
        """Points of the space."""
        return Points(self.space)

    @functools.cached_property
    def decisive(self) -> Mapping[str, Fixed]:
        """Settings fixed at another value than their default; few stored runs share them."""
        return {
            key: domain
            for key, domain in self.space.items()
            if isinstance(domain, Fixed) and not space.same(domain.value, self.defaults[key])
        }

    @functools.cached_property
    def _shared(self) -> SharedSettings:
        """Settings that are the same at all points."""
        fixed = {
            key: domain.value for key, domain in self.space.items() if isinstance(domain, Fixed)
        }
        return SharedSettings(fixed, list(self.space), self.defaults)

    @property
    def searched(self) -> Mapping[str, Choice | Range]:
        """Settings with several values, each after the settings that its condition names."""
        return self.points.searched

    @property
    def size(self) -> int | None:
        """Number of configurations in the space; None if a range makes it infinite."""
        return self.points.size

    def domain(self, key: str, chosen: Mapping[str, Value] | None = None) -> Choice | Range:
        """Return the domain of a searched setting where it applies.

        Args:
            key: Key of the setting, `section.name`.
            chosen: Values of the settings before it in `searched`, which decide between branches;
                without them, the domain covers all branches.
        """
        covering = self.searched[key]
        domain = covering if chosen is None else self.points.domain(key, chosen)
        return covering if isinstance(domain, Fixed) else domain

    def applies(self, key: str, chosen: Mapping[str, Value]) -> bool:
        """Check whether a searched setting applies; where it does not, it has its default.

        Args:
            key: Key of the setting, `section.name`.
            chosen: Values of the settings before it in `searched`, as far as they apply.
        """
        return self.points.applies(key, chosen)

    def cells(self) -> Iterator[dict[str, Value]]:
        """Yield every assignment of the searched settings; the last one varies fastest."""
        return self.points.over(self.searched)

    def configuration(self, assignment: Mapping[str, Value]) -> Configuration:
        """Return the configuration at a point of the space."""
        shared = self._shared
        if self.conditional:
            values = [self.points.value(key, assignment) for key in shared.varied]
        else:
            values = [assignment[key] for key in shared.varied]
        return Configuration(
            self.task,
            self.task_version,
            self.estimator,
            self.estimator_version,
            Settings(shared, values),
            self.defaults,
        )

    def assignment(self, settings: Mapping[str, Value]) -> dict[str, Value] | None:
        """Return the point of the space with these settings; None if they are outside it."""
        chosen: dict[str, Value] = {}
        for key in self.searched:
            if self.applies(key, chosen):
                domain = self.points.domain(key, chosen)
                if key not in settings or not domain.contains(settings[key]):
                    return None
                chosen[key] = settings[key]
        for key in self.space:
            if key not in settings or not space.same(self.points.value(key, chosen), settings[key]):
                return None
        return chosen

    def holds(self, configuration: Configuration) -> bool:
        """Check whether the configuration is a point of this arm."""
        return (self.task, self.estimator) == (
            configuration.task,
            configuration.estimator,
        ) and self.locate(configuration.configuration_id, configuration.settings) is not None

    @property
    def length(self) -> tuple[int | None, int]:
        """Steps of the longest run, None if its task decides; steps between two rows of a curve."""
        steps = self.space["training.steps"]
        report_every = self.space["training.report_every"]
        is_known = not (isinstance(steps, Fixed) and steps.value is None)
        return _largest(steps) if is_known else None, _largest(report_every)

    @functools.cached_property
    def conditional(self) -> bool:
        """Whether a setting applies only beside certain values of others."""
        return any(space.cases(domain) for domain in self.space.values())

    def keys_of(self, name: str) -> list[str]:
        """Return the keys of the searched settings of a name, with or without its section."""
        return [key for key in self.searched if name in (key, key.partition(".")[2])]

    def point(self, named: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values of searched settings by key; foreign names and values are left out."""
        chosen = {}
        for name, value in named.items():
            for key in self.keys_of(name):
                if self.searched[key].contains(value):
                    chosen[key] = space.canonical(self.space[key], value)
        return chosen

    def locate(
        self, configuration_id: str, settings: Mapping[str, Value]
    ) -> dict[str, Value] | None:
        """Return the point of the space of a stored configuration; None if it is outside.

        A setting that was declared after the configuration ran has no value; its default counts.
        """
        if not all(domain.contains(settings.get(key)) for key, domain in self.decisive.items()):
            return None
        given = {key: settings.get(key) for key in self.space}
        filled = {
            key: self.defaults[key] if value is None else value for key, value in given.items()
        }
        for candidate in (given, filled):
            assignment = self.assignment(candidate)
            if assignment is not None:
                configuration = self.configuration(assignment)
                if configuration.configuration_id == configuration_id:
                    return assignment
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the arm as plain data."""
        data = dataclasses.asdict(dataclasses.replace(self, space={}, defaults={}))
        for name in (*MODULES, "smoke", "task_source"):  # earlier versions do not know these keys
            del data[name]
        data["space"] = {key: space.to_json(domain) for key, domain in self.space.items()}
        data["defaults"] = dict(self.defaults)
        data["per_replica"] = sorted(self.per_replica)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Arm":
        """Return the arm that `to_json` wrote."""
        domains = {key: space.from_json(domain) for key, domain in data["space"].items()}
        per_replica = frozenset(data["per_replica"])
        return cls(**{**data, "space": domains, "per_replica": per_replica})


@dataclasses.dataclass(frozen=True, eq=False)
class Spec:
    """A checked sweep.

    Args:
        name: Name of the sweep.
        arms: Arms in the order of the file, by task first.
        task_labels: Columns of the result table, in the order of the file.
        estimator_labels: Rows of the result table, in the order of the file.
        seeds: Seeds to search with, in the order of the file.
        search: Sampler and its settings.
        select: Metric that selects a configuration.
        resources: Resources of a worker.
        metrics: Direction, unit and meaning of each metric of the tasks.
        types: Column type of each setting: `double`, `int64`, `bool`, `string` or `json`.
        text: Text of the file, with the changes of the command line.
        report_seeds: Fresh seeds for the selected configuration of each arm; empty to report the
            seeds of the search.
        early_stopping: Pruner and its settings; None without early stopping.
        budget: Limits of the whole search.
        arm_budget: Limits of the search of each arm.
        requirements: For metrics that need them, smallest values of settings by name.
        description: Text about the sweep, for its readers.
        tags: Words to find the sweep by.
        trackers: Trackers that show runs while they train, with the folder, project or URI that
            the file names; None for the default.
        row_kind: The file's word for a row of the table: `estimator` or `method`.
    """

    name: str
    arms: tuple[Arm, ...]
    task_labels: tuple[str, ...]
    estimator_labels: tuple[str, ...]
    seeds: tuple[int, ...]
    search: Search
    select: Select
    resources: Resources
    metrics: Mapping[str, Mapping[str, str]]
    types: Mapping[str, str]
    text: str = ""
    report_seeds: tuple[int, ...] = ()
    early_stopping: EarlyStopping | None = None
    budget: Budget = NO_BUDGET
    arm_budget: Budget = NO_BUDGET
    requirements: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    description: str = ""
    tags: tuple[str, ...] = ()
    trackers: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    row_kind: RowKind = "estimator"

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain data, without the file's text."""
        return {
            "name": self.name,
            "arms": [arm.to_json() for arm in self.arms],
            "modules": [[getattr(arm, name) for name in MODULES] for arm in self.arms],
            "task_labels": list(self.task_labels),
            "estimator_labels": list(self.estimator_labels),
            "seeds": list(self.seeds),
            "search": dataclasses.asdict(self.search),
            "select": dataclasses.asdict(self.select),
            "resources": dataclasses.asdict(self.resources),
            "metrics": {name: dict(meaning) for name, meaning in self.metrics.items()},
            "types": dict(self.types),
            "report_seeds": list(self.report_seeds),
            "early_stopping": self.early_stopping and dataclasses.asdict(self.early_stopping),
            "budget": dataclasses.asdict(self.budget),
            "arm_budget": dataclasses.asdict(self.arm_budget),
            "requirements": {name: dict(needs) for name, needs in self.requirements.items()},
            "description": self.description,
            "tags": list(self.tags),
            "trackers": dict(self.trackers),
            "row_kind": self.row_kind,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Spec":
        """Return the spec that `to_json` wrote; an older version wrote fewer keys."""
        stopping = data.get("early_stopping")
        modules = data.get("modules") or [("", "")] * len(data["arms"])
        return cls(
            name=data["name"],
            arms=tuple(
                Arm.from_json({**arm, **dict(zip(MODULES, names, strict=True))})
                for arm, names in zip(data["arms"], modules, strict=True)
            ),
            task_labels=tuple(data["task_labels"]),
            estimator_labels=tuple(data["estimator_labels"]),
            seeds=tuple(data["seeds"]),
            search=Search.from_json(data["search"]),
            select=Select.from_json(data["select"]),
            resources=Resources(**data["resources"]),
            metrics=data["metrics"],
            types=data["types"],
            report_seeds=tuple(data.get("report_seeds", ())),
            early_stopping=EarlyStopping(**stopping) if stopping else None,
            budget=Budget(**data.get("budget", {})),
            arm_budget=Budget(**data.get("arm_budget", {})),
            requirements=data.get("requirements", {}),
            description=data.get("description", ""),
            tags=tuple(data.get("tags", ())),
            trackers=data.get("trackers", {}),
            row_kind=data.get("row_kind", "estimator"),
        )


def smoke_spec(spec: Spec) -> Spec:
    """Return a short version of the sweep for a test, under the name `<name>-smoke`.

    Every choice becomes its first value and every range its low end, where it applies; one seed,
    three steps, and of a task's settings at most the values that the task declares for a trial.
    """
    arms = tuple(dataclasses.replace(arm, space=_smoke_space(arm)) for arm in spec.arms)
    return dataclasses.replace(
        spec,
        name=f"{spec.name}-smoke",
        arms=arms,
        seeds=spec.seeds[:1],
        search=Search(),
        report_seeds=(),
        early_stopping=None,
        budget=Budget(),
        arm_budget=Budget(),
    )


def _smoke_space(arm: Arm) -> dict[str, Domain]:
    limits = {"training.steps": SMOKE_STEPS, **arm.smoke}
    first = arm.configuration(arm.points.completed({})).settings
    cut: dict[str, Domain] = {key: Fixed(value) for key, value in first.items()}
    for key, most in limits.items():
        if key in first:
            cut[key] = Fixed(most if first[key] is None else min(first[key], most))
    return cut


def _largest(domain: Domain) -> int:
    match domain:
        case Fixed(value):
            return int(value)
        case Choice(choices):
            return int(max(choices))
        case Range(high=high):
            return int(high)
    return max(_largest(inside) for inside in space.alternatives(domain))
