"""Which stored configurations are an arm's: all at once, against one by one."""

import dataclasses
import itertools
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from figure_helpers import spec_of, store_of
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.api import Results
from raysweep.errors import StoreError
from raysweep.store import schema
from raysweep.store.constants import MOST_FILES, constants
from raysweep.store.sweep_store import SweepStore
from raysweep.sweep.runs import Configuration, Run
from raysweep.sweep.space import Choice, Conditional, Fixed, Range, values
from raysweep.sweep.spec import Arm

POOL = {
    "int64": (None, 0, 1, 2, -1),
    "double": (None, 0.0, 0.5, 1.0, 2.0, 3.5),
    "bool": (None, False, True),
    "string": (None, "", "a", "1", "True"),
    "json": (None, 0, 1, 1.0, 2.5, True, False, "1", "a", [], [1], [1, 2], [1.0], [True]),
}
RANGES = {
    "int64": (Range(0, 2, whole=True), Range(1, 8, log=True, whole=True)),
    "double": (Range(0.0, 2.0), Range(0.5, 4.0, log=True), Range(0.0, 2.0, whole=True)),
    "json": (Range(0.0, 2.0), Range(0, 2, whole=True)),
}


@st.composite
def domains(draw, kind):
    """One value, a choice or a range of a column's type, as a sweep file may say."""
    found = draw(st.lists(st.sampled_from(POOL[kind]), min_size=1, max_size=3))
    several = [each for place, each in enumerate(found) if not Choice(found[:place]).contains(each)]
    if kind in RANGES and draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(RANGES[kind]))
    return Fixed(several[0]) if len(several) == 1 else Choice(tuple(several))


@st.composite
def arms(draw, types, defaults):
    """An arm of the one program, with conditions on the settings before."""
    space = {}
    for key, kind in types.items():
        own = draw(domains(kind))
        earlier = list(space)
        if earlier and draw(st.integers(0, 2)) == 0:
            chosen = draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=2, unique=True))
            when = {
                each: tuple(draw(st.lists(st.sampled_from(POOL[types[each]]), min_size=1)))
                for each in chosen
            }
            own = Conditional(when, own, draw(st.sampled_from(POOL[kind])))
        space[key] = own
    space = dict(draw(st.permutations(list(space.items()))))
    return Arm("T", "E", "t", 1, "e", 1, space, defaults, frozenset())


def inside(domain, kind):
    if isinstance(domain, Range):
        return [each for each in POOL[kind] if domain.contains(each)] + [domain.low, domain.high]
    return list(values(domain))


@st.composite
def rows(draw, arm, types):
    """A stored configuration: a point of the arm, or one whose settings may be any."""
    chosen = {}
    for key in arm.searched:
        if arm.applies(key, chosen):
            found = draw(st.sampled_from(inside(arm.domain(key), types[key])))
            chosen[key] = float(found) if types[key] == "double" and found is not None else found
    own = dict(arm.configuration(chosen).settings)
    for key in draw(st.lists(st.sampled_from(list(types)), max_size=2)):
        own[key] = draw(st.sampled_from(POOL[types[key]]))
    if draw(st.booleans()):
        return stored(arm, own, arm.definition)
    how = draw(st.sampled_from(["no definition", "other versions", "other defaults", "later"]))
    if how == "other versions":
        return stored(dataclasses.replace(arm, task_version=2), own, "f" * 16)
    if how == "other defaults":
        return stored(dataclasses.replace(arm, defaults=dict.fromkeys(own, "z")), own, "d" * 16)
    missing = draw(st.lists(st.sampled_from(list(types)))) if how == "later" else []
    own |= {key: arm.defaults[key] for key in missing}
    return stored(arm, own, None, missing)


def stored(arm, own, definition, missing=()):
    """What is written of a configuration; `missing` settings were declared afterwards."""
    configuration = Configuration("t", arm.task_version, "e", 1, own, arm.defaults)
    known = {key: None if key in missing else value for key, value in own.items()}
    return configuration.configuration_id, known, definition


@st.composite
def programs(draw):
    """Column types, arms of one task and estimator, and rows of them."""
    names = "abcd"[: draw(st.integers(1, 4))]
    types = {f"task.{name}": draw(st.sampled_from(list(POOL))) for name in names}
    defaults = {key: draw(st.sampled_from(POOL[kind])) for key, kind in types.items()}
    found = draw(st.lists(arms(types, defaults), min_size=1, max_size=3))
    first = draw(st.lists(rows(found[0], types), min_size=1, max_size=6))
    return types, found, [*first, *draw(st.lists(rows(found[-1], types), max_size=3))]


def written(folder, types, found, kept, *, files=1, definitions=True, other=False):
    """The results of a store with these rows.

    Args:
        folder: Of the store.
        types: Of the settings' columns.
        found: The arms.
        kept: Rows, as `stored` gives them.
        files: Over how many files the rows are spread, in two groups of rows each.
        definitions: Whether there is such a column.
        other: Whether another task's rows, before and after, have all settings otherwise.
    """
    spec = dataclasses.replace(spec_of(), arms=tuple(found), types=types)
    store = SweepStore(str(folder), spec.name)
    store.prepare(spec)
    columns = schema.runs_schema(spec)
    listed = [row("t", *each, columns, seed) for seed, each in enumerate(kept)]
    if other:
        several = [{key: POOL[kind][place] for key, kind in types.items()} for place in (1, 2)]
        strange = [row("o", f"other {n}", each, None, columns, n) for n, each in enumerate(several)]
        listed = [strange[0], *listed, strange[1]]
    if not definitions:
        columns = columns.remove(columns.get_field_index("definition"))
        listed = [{key: each[key] for key in each if key != "definition"} for each in listed]
    for number in range(files):
        table = schema.rows_table(listed[number::files], columns)
        path = Path(store.files.path(f"runs/{number:04}.parquet"))
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table, path, row_group_size=max(1, (table.num_rows + 1) // 2))
    return Results(folder, spec.name)


def row(task, configuration_id, own, definition, columns, seed):
    return {
        "run_id": f"{configuration_id}-{seed}",
        "seed": seed,
        "definition": definition,
        "status": "done",
        "task_name": task,
        "estimator_name": "e",
        "configuration_id": configuration_id,
        "metric.train_loss": 1.0,
        **schema.encode_settings(own, columns),
    }


def held(results):
    """The ids of each arm's configurations, all at once."""
    runs = results.ended("train_loss")
    return [sorted(runs.ids[place] for place in runs.of(arm)) for arm in results.spec.arms]


def located(results):
    """The same, one by one; a configuration's settings are those of its first row."""
    table = results.runs()
    first = {}
    for each in table.to_pylist():
        if each["task_name"] == "t":
            own = schema.decode_settings(each, table.schema)
            first.setdefault(each["configuration_id"], own)
    return [
        sorted(each for each, own in first.items() if arm.locate(each, own) is not None)
        for arm in results.spec.arms
    ]


def agreed(program, **how):
    """Checks a program's rows in a new folder, and gives the ids held, arm by arm."""
    with tempfile.TemporaryDirectory() as folder:
        results = written(folder, *program, **how)
        found = held(results)
        assert found == located(results)
    return found


@settings(max_examples=60, deadline=None)
@given(programs())
def test_those_held_are_those_that_are_located(program):
    agreed(program)


@settings(max_examples=30, deadline=None)
@given(programs())
def test_another_tasks_rows_with_other_settings_change_nothing(program):
    assert agreed(program) == agreed(program, other=True)


@settings(max_examples=20, deadline=None)
@given(programs())
def test_a_store_without_definitions_holds_the_same(program):
    types, found, kept = program
    older = [each for each in kept if each[2] in (None, found[0].definition)] or kept[:1]
    agreed((types, found, older), definitions=False)


@pytest.mark.parametrize("other", [False, True], ids=["constant", "not constant"])
@pytest.mark.parametrize("kind", POOL)
def test_every_value_is_held_by_the_arms_with_it_alone(kind, other):
    types, default = {"task.a": kind}, {"task.a": POOL[kind][1]}
    several = [Choice(pair) for pair in itertools.combinations(POOL[kind][:4], 2)]
    spaces = [*map(Fixed, POOL[kind]), *several, *RANGES.get(kind, ())]
    found = [arm_with({"task.a": each}, default) for each in spaces]
    for value, definition in itertools.product(POOL[kind], (found[0].definition, None)):
        kept = [stored(found[0], {"task.a": value}, definition)]
        agreed((types, found, kept), other=other)


@pytest.mark.parametrize("kind", POOL)
def test_a_condition_is_met_by_the_same_values_only(kind):
    types, defaults = {"task.a": kind, "task.b": "int64"}, {"task.a": POOL[kind][1], "task.b": 0}
    own = Choice(POOL[kind][1:3])
    spaces = [
        {"task.b": Conditional({"task.a": (value,)}, Choice((1, 2)), 0), "task.a": own}
        for value in POOL[kind]
    ]
    found = [arm_with(each, defaults) for each in spaces]
    pairs = itertools.product(POOL[kind], (0, 1, 2))
    kept = [
        stored(found[0], {"task.a": a, "task.b": b}, found[place % 2].definition)
        for place, (a, b) in enumerate(pairs)
    ]
    assert any(agreed((types, found, kept)))


def arm_with(space, defaults):
    return Arm("T", "E", "t", 1, "e", 1, space, defaults, frozenset())


ONE = arm_with({"task.a": Range(0.0, 9.0), "task.b": Fixed(0.0)}, {"task.a": 0.0, "task.b": 0.0})


def many(definition=ONE.definition):
    """A hundred and forty configurations, of which half are inside."""
    return [stored(ONE, {"task.a": n / 8, "task.b": 0.0}, definition) for n in range(140)]


@pytest.mark.parametrize("files", [1, 7, MOST_FILES, MOST_FILES + 1])
def test_files_are_as_one_however_many_there_are(files):
    types = {"task.a": "double", "task.b": "double"}
    (found,) = agreed((types, [ONE], many()), files=files)
    assert len(found) == 73


def test_a_setting_declared_later_had_its_default():
    types = {"task.a": "double", "task.b": "double"}
    arm = dataclasses.replace(ONE, space={"task.a": Fixed(1.0), "task.b": Fixed(0.0)})
    kept = [stored(arm, {"task.a": 1.0, "task.b": 0.0}, None, ["task.b"])]
    assert agreed((types, [arm], kept)) == [[kept[0][0]]]


def test_a_default_that_is_none_is_a_value():
    types, default = {"task.a": "int64"}, {"task.a": None}
    found = [arm_with({"task.a": each}, default) for each in (Fixed(None), Choice((None, 1)))]
    kept = [stored(found[0], {"task.a": value}, found[0].definition) for value in (None, 1, 2)]
    ids = [each[0] for each in kept]
    assert agreed((types, found, kept)) == [[ids[0]], sorted(ids[:2])]


# What statistics tell.


def constant(folder, column):
    """The constants of files with these values of one setting, a file for each list."""
    import pyarrow.dataset as pads

    paths = [f"{folder}/{number}.parquet" for number in range(len(column))]
    for path, each in zip(paths, column, strict=True):
        pq.write_table(pa.table({"param.task.a": each}), path, row_group_size=2)
    return constants(pads.dataset(paths), ["param.task.a", "seed"]).get("param.task.a", ...)


@pytest.mark.parametrize(
    "values",
    [[1, 1, 1], [0.5] * 3, [True] * 3, [False] * 3, ["a"] * 3, [""] * 3, ["[1, 2]"] * 3],
    ids=str,
)
def test_a_value_that_all_rows_have_is_known(values, tmp_path):
    assert constant(tmp_path, [pa.array(values), pa.array(values)]).as_py() == values[0]


def test_a_column_of_nulls_is_known(tmp_path):
    assert constant(tmp_path, [pa.nulls(3, pa.float64())] * 2).as_py() is None


@pytest.mark.parametrize(
    "files",
    [
        [pa.array([1, 1, 2])],
        [pa.array([1, 1]), pa.array([2, 2])],
        [pa.array([1, None, 1])],
        [pa.array([1, 1]), pa.nulls(2, pa.int64())],
        [pa.array([1, 1, None, None])],
        [pa.array([True, False])],
        [pa.array(["a" * 5000, "a" * 5000 + "b"])],
        [pa.array(["a" * 100 + "b", "a" * 100 + "c"])],
    ],
    ids=["rows", "files", "a null", "a file of nulls", "groups", "booleans", "long", "prefix"],
)
def test_a_column_of_several_values_is_not(files, tmp_path):
    assert constant(tmp_path, files) is ...


def test_zeros_of_both_signs_are_zero(tmp_path):
    assert constant(tmp_path, [pa.array([0.0, -0.0])]).as_py() == 0.0


def test_a_column_that_some_files_lack_is_not_constant(tmp_path):
    results = store_of(tmp_path, spec_of())
    table = results.store.files.read_table("runs/all.parquet")
    before = held(results)
    shorter = table.drop_columns(["param.training.lr", "metric.distance"])
    results.store.files.write_table("runs/before.parquet", shorter.slice(0, 2))
    assert held(results) == before


def test_a_damaged_file_is_named(tmp_path):
    results = store_of(tmp_path, spec_of())
    results.store.files.write("runs/damaged.parquet", b"PAR1 and no more")
    with pytest.raises(StoreError, match=r"cannot read .*damaged.parquet: expected a complete"):
        results.table()


# Conditions.


def test_a_condition_leaves_no_configuration_without_rows(tmp_path):
    runs = store_of(tmp_path, spec_of()).ended("train_loss", where="estimator = 'RF'")
    assert runs.count == 2
    assert sorted(runs.codes.tolist()) == [0, 0, 0, 1, 1, 1]


def test_an_arm_has_no_configuration_that_a_condition_left_out(tmp_path):
    results = store_of(tmp_path, spec_of())
    rewrite_definitions(results)
    runs = results.ended("train_loss", where="param.estimator.temperature = 2")
    found = {arm.name: len(runs.of(arm)) for arm in results.spec.arms}
    assert found == {"ST · A": 1, "RF · A": 0, "ST · B": 1, "RF · B": 0}


def rewrite_definitions(results):
    """Gives all rows the definitions that they lack."""
    files = results.store.files
    table = files.read_table("runs/all.parquet")
    known = {(arm.task, arm.estimator): arm.definition for arm in results.spec.arms}
    found = [
        {**each, "definition": known[each["task_name"], each["estimator_name"]]}
        for each in table.to_pylist()
    ]
    files.write_table("runs/all.parquet", schema.rows_table(found, table.schema))


def test_records_have_the_settings_that_are_constant(tmp_path):
    results = store_of(tmp_path, spec_of())
    runs = results.ended("train_loss")
    (found,) = runs.records([0])
    (arm, *_) = results.spec.arms
    expected = arm.configuration(next(arm.cells()))
    assert json.dumps(found["settings"], sort_keys=True) == json.dumps(
        dict(expected.settings), sort_keys=True
    )
    assert found["run_id"] == Run(expected, 0).run_id
