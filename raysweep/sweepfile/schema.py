"""JSON schema of sweep files, for editors, from the registry and the tables of the reader."""

import functools
from collections.abc import Iterable, Mapping

from raysweep import registry
from raysweep.registry import Setting
from raysweep.search.samplers import SAMPLERS
from raysweep.sweep.options import PRUNERS, TRACKERS
from raysweep.sweep.spec import NAME
from raysweep.sweepfile import keys, schedules, together
from raysweep.sweepfile.keys import Key
from raysweep.sweepfile.reader import NAME as SWEEP_NAME
from raysweep.sweepfile.value_schema import Schema, ValueSchemas, closed, of_type, reference

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_QUALIFIED = r"^(task|estimator|training)\."  # start of a setting's name with its section
_LABELS = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ]
}


def schema() -> Schema:
    """Return the JSON schema of sweep files, with all plug-ins that can be loaded."""
    return _FileSchema().root()


class _FileSchema:
    """Builder of the schema, with its definitions."""

    def __init__(self) -> None:
        self.values = ValueSchemas()
        self.definitions: dict[str, Schema] = {}
        self.tasks = {name: registry.task_settings(name) for name in registry.usable_tasks()}
        self.estimators: dict[str, list[Setting]] = {}
        self.summaries = {
            f"task-{name}": registry.summary(type(task))
            for name, task in registry.usable_tasks().items()
        }
        for family in registry.families():
            for name, cls in registry.usable_estimators(family).items():
                settings = registry.estimator_settings(family, name).values()
                self.estimators.setdefault(name, []).extend(settings)
                text, key = registry.summary(cls), f"estimator-{name}"
                if len(registry.families_of(name)) > 1:
                    text = f"{family}: {text}"
                self.summaries[key] = " ".join(filter(None, (self.summaries.get(key), text)))

    def root(self) -> Schema:
        """Return the schema of a file."""
        sections: dict[str, Schema] = {
            "name": {"type": "string", "pattern": f"^{SWEEP_NAME.pattern}$"},
            "description": {"type": ["string", "null"]},
            "tags": _or_null({"type": "array", "items": {"type": "string", "minLength": 1}}),
            "tasks": self._labelled("task", self.tasks),
            "estimators": self._labelled("estimator", self.estimators),
            "methods": _methods(),
            "training": _or_null(self._training()),
            "overrides": _or_null({"type": "array", "items": {"type": "object"}}),
            "seeds": _seeds(),
            "search": _or_null(_named("sampler", _searches())),
            "select": _or_null(self._select()),
            "early_stopping": _or_null(_named("pruner", self._pruners())),
            "budget": _or_null(_budget()),
            "resources": _or_null(closed(_plain(keys.RESOURCES))),
            "tracker": _or_null(_tracker()),
        }
        described = {key: {**sections[key], "description": keys.TOP[key]} for key in keys.TOP}
        return {
            "$schema": DIALECT,
            "title": "Sweep file of raysweep",
            **closed(described, keys.REQUIRED, patternProperties={f"^{keys.TEMPLATE}": True}),
            "anyOf": [{"required": [section]} for section in keys.ROWS],
            "if": self._only_known_tasks(),
            "then": self._with_known_tasks(),
            "$defs": {
                "training-name": {"enum": sorted(registry.TRAINING)},
                **self.definitions,
                **self.values.definitions,
            },
        }

    def _labelled(self, kind: str, names: Iterable[str]) -> Schema:
        """Return the schema of `tasks` or `estimators`: entries by label."""
        known = list(names)
        for name in known:
            self.definitions[f"{kind}-{name}"] = self._entry(kind, name)
        entry = _chosen(kind, {name: reference(f"{kind}-{name}") for name in known})
        if kind == "task":
            entry["properties"][kind] = _one_of_these_or_another(known)
        return {"type": "object", "minProperties": 1, "additionalProperties": entry}

    def _entry(self, kind: str, name: str) -> Schema:
        """Return the schema of the entry of a task or an estimator."""
        if kind == "task":
            settings = list(self.tasks[name].values())
        else:
            settings = [*registry.training_settings().values(), *self.estimators[name]]
        only = {"tasks": {**_LABELS, "description": "the only tasks to train on"}}
        properties = {
            kind: {"const": name, "description": self.summaries[f"{kind}-{name}"]},
            **(only if kind == "estimator" else {}),
            **self._described(settings),
            together.KEY: _together(settings),
        }
        return closed(properties, [kind], patternProperties={_QUALIFIED: True})

    def _described(self, settings: Iterable[Setting]) -> Schema:
        """Return the schemas of settings; those of one name may be of several families."""
        by_name: dict[str, list[Setting]] = {}
        for setting in settings:
            by_name.setdefault(setting.name, []).append(setting)
        properties: Schema = {}
        for name, several in by_name.items():
            schemas = [self.values.described(one) for one in several]
            is_one = all(schema == schemas[0] for schema in schemas)
            properties[name] = schemas[0] if is_one else self.values.of(several)
            properties[name] = self._or_schedule(properties[name], several)
        return properties

    def _or_schedule(self, value: Schema, several: Iterable[Setting]) -> Schema:
        """Return the schema of a setting that has a schedule in place of a value, if it may."""
        of_tasks = {key: one for several in self.tasks.values() for key, one in several.items()}
        keys = [one.key for one in several if schedules.can_change(one.key, of_tasks)]
        if not keys:
            return value
        end, updates, shape = (
            self.values.of([of_tasks[key]]) for key in schedules.companions(keys[0])
        )
        whole = {"const": schedules.WHOLE_RUN, "description": "all updates of the run"}
        choice = {"type": "array", "items": {"anyOf": [whole, {"type": "integer"}]}}
        over = {"anyOf": [whole, updates, choice]}
        properties = {"from": value, "to": end, "over": over, "shape": shape}
        schedule = closed(properties, schedules.REQUIRED, description="changes with the updates")
        notes = {key: part for key, part in value.items() if key in ("description", "default")}
        return {"anyOf": [value, schedule], **notes}

    def _training(self) -> Schema:
        settings = registry.training_settings().values()
        properties = {one.name: self.values.described(one) for one in settings}
        return closed({**properties, together.KEY: _together(settings)})

    def _override(self) -> Schema:
        """Return the schema of an override, which may set any setting of any arm."""
        by_name: dict[str, list[Setting]] = {}
        for several in (*(one.values() for one in self.tasks.values()), *self.estimators.values()):
            for setting in several:
                by_name.setdefault(setting.name, []).append(setting)
        settings = [setting for several in by_name.values() for setting in several]
        properties = {
            "tasks": {**_LABELS, "description": "labels of tasks; all if not given"},
            "estimators": {**_LABELS, "description": "labels of estimators; all if not given"},
            "methods": {**_LABELS, "description": "labels of methods; all if not given"},
            **{
                name: self._or_schedule(self.values.of(several), several)
                for name, several in by_name.items()
            },
            together.KEY: _together(settings),
        }
        return closed(properties, patternProperties={_QUALIFIED: True})

    def _only_known_tasks(self) -> Schema:
        """Return the condition that no task of the file is a function of the user."""
        entry = {"properties": {"task": {"enum": list(self.tasks)}}}
        return {"properties": {"tasks": {"additionalProperties": entry}}}

    def _with_known_tasks(self) -> Schema:
        """Return what holds for a file whose tasks are known: all its settings and metrics are."""
        metric = {"enum": self.metrics}
        return {
            "properties": {
                "overrides": {"items": self._override()},
                "select": {"properties": {"metric": _one_or_two(metric)}},
                "early_stopping": {"properties": {"metric": metric}},
            }
        }

    @functools.cached_property
    def metrics(self) -> list[str]:
        """Names of the metrics of all known tasks."""
        tasks = registry.usable_tasks().values()
        return sorted({name for task in tasks for name in task.metrics})

    def _select(self) -> Schema:
        mode = {"enum": ["min", "max"]}
        properties = {
            "metric": _one_or_two(_one_of_these_or_another(self.metrics)),
            "mode": _one_or_two(mode),
        }
        return closed(properties, ["metric"])

    def _pruners(self) -> dict[str, Schema]:
        metric = {
            **_one_of_these_or_another(self.metrics),
            "description": "metric that is compared, of a curve",
        }
        return {
            name: {
                **({} if name == "racing" else {"metric": metric}),
                **{
                    key: {**of_type(declared, least), "default": default}
                    for key, (declared, default, least) in settings.items()
                },
            }
            for name, settings in PRUNERS.items()
        }


def _searches() -> dict[str, Schema]:
    """Return the keys of `search` with each sampler."""
    points: dict[str, Schema] = {
        "first": {"type": "array", "items": {"type": "object", "minProperties": 1}},
        "from": {"type": "string", "pattern": f"^{NAME.pattern}$"},
    }
    for key, meaning in keys.SEARCH_POINTS.items():
        points[key]["description"] = meaning
    return {
        name: {
            **{
                key: value
                for key, value in {**_plain(keys.SEARCH), **points}.items()
                if name != "grid" or key not in keys.NOT_WITH_GRID
            },
            **{key: of_type(*declared) for key, declared in sampler.settings.items()},
        }
        for name, sampler in SAMPLERS.items()
    }


def _methods() -> Schema:
    """Return the schema of `methods`, whose settings are those of tasks of the user's own."""
    only = {"tasks": {**_LABELS, "description": "the only tasks to train on"}}
    entry = {"type": "object", "properties": only}
    return {"type": "object", "minProperties": 1, "additionalProperties": entry}


def _seeds() -> Schema:
    several = {"type": "integer", "minimum": 1, "maximum": keys.MAX_SEED}
    one = {"type": "integer", "minimum": 0, "maximum": keys.MAX_SEED}
    listed = {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}
    either = {"anyOf": [several, listed]}
    described = {
        "search": {**either, "description": "seeds of the search"},
        "report": {**several, "description": "fresh seeds of the selected configurations"},
    }
    return {"anyOf": [several, listed, closed(described, list(described))]}


def _budget() -> Schema:
    limits = _plain(keys.BUDGET)
    arm = {**closed(limits, minProperties=1), "description": "limits of each arm"}
    return closed({**limits, "arm": arm}, minProperties=1)


def _tracker() -> Schema:
    targets = {
        name: {"type": ["string", "null"], "minLength": 1, "description": meaning}
        for name, meaning in TRACKERS.items()
    }
    return {"anyOf": [{"enum": list(TRACKERS)}, closed(targets, minProperties=1)]}


def _plain(declared: Mapping[str, Key]) -> Schema:
    return {
        key: {**of_type(one.type, one.least, one.most), "description": one.meaning}
        for key, one in declared.items()
    }


def _named(kind: str, properties: Mapping[str, Schema]) -> Schema:
    """Return the schema of a section that is a name, or a mapping with a name and settings."""
    sections = {
        name: closed({kind: {"const": name}, **settings}, [kind])
        for name, settings in properties.items()
    }
    return {"anyOf": [{"enum": list(sections)}, _chosen(kind, sections)]}


def _chosen(kind: str, sections: Mapping[str, Schema]) -> Schema:
    """Return the schema of a mapping whose key `kind` decides which schema the others have."""
    return {
        "type": "object",
        "properties": {kind: {"enum": list(sections)}},
        "required": [kind],
        "allOf": [
            {"if": {"properties": {kind: {"const": name}}, "required": [kind]}, "then": section}
            for name, section in sections.items()
        ],
    }


def _together(settings: Iterable[Setting]) -> Schema:
    """Return the schema of values that belong together: points, or lists of points."""
    names = dict.fromkeys(one.name for one in settings)
    others = {"enum": [name for name in names if name not in registry.TRAINING]}
    known = [others, reference("training-name"), {"pattern": _QUALIFIED}]
    point = {"type": "object", "minProperties": 1, "propertyNames": {"anyOf": known}}
    points = {"type": "array", "items": point, "minItems": 1}
    return {
        "anyOf": [points, {"type": "array", "items": points, "minItems": 1}],
        "description": "points, of which a search chooses one",
    }


def _one_of_these_or_another(names: Iterable[str]) -> Schema:
    """Return the schema of a name that may be of the user's own code; editors offer the known."""
    return {"anyOf": [{"enum": list(names)}, {"type": "string", "minLength": 1}]}


def _one_or_two(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1, "maxItems": 2}]}


def _or_null(schema: Schema) -> Schema:
    """Return the schema of a section that may be empty."""
    return {"anyOf": [schema, {"type": "null"}]}
