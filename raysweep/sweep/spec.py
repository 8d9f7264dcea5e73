"""A sweep, read and checked: its arms, seeds, search and resources. Plain data, no torch."""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from raysweep.sweep import sources, space
from raysweep.sweep.options import NO_BUDGET, Budget, EarlyStopping, Resources, Search, Select
from raysweep.sweep.points import Points
from raysweep.sweep.runs import Configuration, digest
from raysweep.sweep.space import Choice, Conditional, Domain, Fixed, Range, Value

MODULES = ("task_module", "estimator_module")
SMOKE_STEPS = 3
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,69}")  # a name of 64, and "-smoke"


@dataclasses.dataclass(frozen=True, eq=False)
class Arm:
    """One labelled task with one labelled estimator, and the space of their settings.

    Args:
        task_label: The result table's column.
        estimator_label: The result table's row.
        task: Registry name.
        task_version: Of the task's results.
        estimator: Registry name.
        estimator_version: Of the estimator's results.
        space: What each setting may be, by key `section.name`.
        defaults: Each setting's declared default.
        per_replica: Keys in which the runs of one pack may differ.
        task_module: The module that defines the task; empty where an older version wrote the arm.
        estimator_module: The module that defines the estimator; likewise.
        smoke: Largest values in a trial run, by key; they are not stored.
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

    @property
    def name(self) -> str:
        """Both labels."""
        return f"{self.estimator_label} · {self.task_label}"

    @functools.cached_property
    def definition(self) -> str:
        """Identity of what turns settings into a configuration's identity: versions, defaults.

        Of two runs with the same definition and the same settings the ids are the same, too.
        """
        return self.definition_with(self.defaults)

    def definition_with(self, defaults: Mapping[str, Value]) -> str:
        """The definition that the arm would have with these defaults."""
        return digest(
            {
                "task": [self.task, self.task_version],
                "estimator": [self.estimator, self.estimator_version],
                "defaults": dict(defaults),
            }
        )

    @functools.cached_property
    def code(self) -> str | None:
        """Digests of the present source of task and estimator; None where it is not to be read."""
        return sources.code(self.task_module, self.estimator_module)

    @functools.cached_property
    def points(self) -> Points:
        """The points of the space."""
        return Points(self.space)

    @functools.cached_property
    def decisive(self) -> Mapping[str, Fixed]:
        """The settings that have one value, which is not their default: most others lack one."""
        return {
            key: domain
            for key, domain in self.space.items()
            if isinstance(domain, Fixed) and not space.same(domain.value, self.defaults[key])
        }

    @property
    def searched(self) -> Mapping[str, Choice | Range]:
        """The settings with more than one value where they apply, after those that decide it."""
        return self.points.searched

    @property
    def size(self) -> int | None:
        """Configurations in the space; None if a range makes it infinite."""
        return self.points.size

    def domain(self, key: str) -> Choice | Range:
        """What a searched setting may be where it applies."""
        return self.searched[key]

    def applies(self, key: str, chosen: Mapping[str, Value]) -> bool:
        """Whether a searched setting applies; elsewhere it has its default.

        Args:
            key: `section.name`.
            chosen: The assignment so far: of those before it in `searched` that apply.
        """
        return self.points.applies(key, chosen)

    def cells(self) -> Iterator[dict[str, Value]]:
        """Every assignment of the searched settings that apply; the last one varies fastest."""
        return self.points.over(self.searched)

    def configuration(self, assignment: Mapping[str, Value]) -> Configuration:
        """The configuration at one point of the space."""
        settings = {key: self.points.value(key, assignment) for key in self.space}
        return Configuration(
            self.task,
            self.task_version,
            self.estimator,
            self.estimator_version,
            settings,
            self.defaults,
        )

    def assignment(self, settings: Mapping[str, Value]) -> dict[str, Value] | None:
        """The point of the space that these settings are, or None if they are outside it."""
        chosen: dict[str, Value] = {}
        for key, domain in self.searched.items():
            if self.applies(key, chosen):
                if key not in settings or not domain.contains(settings[key]):
                    return None
                chosen[key] = settings[key]
        for key in self.space:
            if key not in settings or not space.same(self.points.value(key, chosen), settings[key]):
                return None
        return chosen

    def holds(self, configuration: Configuration) -> bool:
        """Whether the configuration is a point of this arm."""
        return (self.task, self.estimator) == (
            configuration.task,
            configuration.estimator,
        ) and self.locate(configuration.configuration_id, configuration.settings) is not None

    @property
    def length(self) -> tuple[int, int]:
        """Steps of its longest run, and steps between two rows of a curve."""
        steps, report_every = (
            _largest(self.space[f"training.{name}"]) for name in ("steps", "report_every")
        )
        return steps, report_every

    @property
    def conditional(self) -> bool:
        """Whether some setting applies only beside certain values of others."""
        return any(isinstance(each, Conditional) for each in self.space.values())

    def keys_of(self, name: str) -> list[str]:
        """The searched settings that a name means: `section.name`, or the name alone."""
        return [key for key in self.searched if name in (key, key.partition(".")[2])]

    def point(self, named: Mapping[str, Value]) -> dict[str, Value]:
        """What named values say about this arm's space; names and values it lacks are left out."""
        found = {}
        for name, value in named.items():
            for key in self.keys_of(name):
                if self.searched[key].contains(value):
                    found[key] = space.member(self.searched[key], value)
        return found

    def locate(
        self, configuration_id: str, settings: Mapping[str, Value]
    ) -> dict[str, Value] | None:
        """The point of the space that a stored configuration is, or None if it is outside.

        A setting that was declared after the configuration ran has no value: it had its default.
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
        """The arm as plain data."""
        data = dataclasses.asdict(dataclasses.replace(self, space={}, defaults={}))
        for name in (*MODULES, "smoke"):  # earlier versions know no such keys
            del data[name]
        data["space"] = {key: space.to_json(domain) for key, domain in self.space.items()}
        data["defaults"] = dict(self.defaults)
        data["per_replica"] = sorted(self.per_replica)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Arm":
        """The arm that `to_json` wrote."""
        domains = {key: space.from_json(each) for key, each in data["space"].items()}
        per_replica = frozenset(data["per_replica"])
        return cls(**{**data, "space": domains, "per_replica": per_replica})


@dataclasses.dataclass(frozen=True, eq=False)
class Spec:
    """A sweep, checked.

    Args:
        name: The sweep's name.
        arms: In the file's order, tasks first.
        task_labels: The result table's columns, in the file's order.
        estimator_labels: The result table's rows, in the file's order.
        seeds: To search with, in the file's order.
        search: How configurations are found.
        select: How one of them is selected.
        resources: What a worker gets.
        metrics: What each metric of the arms' tasks means: direction, unit, meaning.
        types: The column type of each setting: `double`, `int64`, `bool`, `string` or `json`.
        text: The file, with what the command line changed in it.
        report_seeds: Fresh seeds for the selected configuration of each arm; none to report the
            seeds of the search.
        early_stopping: How poor configurations are stopped, if at all.
        budget: What the whole search may use.
        arm_budget: What the search of each arm may use.
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

    def to_json(self) -> dict[str, Any]:
        """The spec as plain data, without the file's text."""
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
            "early_stopping": _plain(self.early_stopping),
            "budget": dataclasses.asdict(self.budget),
            "arm_budget": dataclasses.asdict(self.arm_budget),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Spec":
        """The spec that `to_json` wrote; an older version wrote fewer keys."""
        stopping = data.get("early_stopping")
        modules = data.get("modules") or [("", "")] * len(data["arms"])
        return cls(
            name=data["name"],
            arms=tuple(
                Arm.from_json({**each, **dict(zip(MODULES, own, strict=True))})
                for each, own in zip(data["arms"], modules, strict=True)
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
        )


def smoke_spec(spec: Spec) -> Spec:
    """The sweep cut down to a trial of its plumbing, under the name `<name>-smoke`.

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


def _plain(section: Any) -> dict[str, Any] | None:
    return None if section is None else dataclasses.asdict(section)


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
        case Choice(values):
            return int(max(values))
        case Range(high=high):
            return int(high)
    return max(_largest(domain.domain), int(domain.otherwise))
