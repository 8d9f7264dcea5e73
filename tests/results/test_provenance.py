"""Where the numbers of a sweep come from, counted from rows known by hand."""

import json
from datetime import datetime, timezone

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from raysweep.results.provenance import ORIGINS, provenance
from raysweep.store.schema import IDENTITY

SCHEMA = pa.schema(IDENTITY)
NOON = datetime(2025, 3, 1, 12, tzinfo=timezone.utc)
ONE = {
    "status": "done",
    "version": "0.1.0",
    "git_commit": "a" * 40,
    "git_dirty": False,
    "torch": "2.9.0+cpu",
    "python": "3.11.7",
    "device": "cpu",
    "host": "x86_64, 16 CPUs, Intel Xeon Gold 6330",
    "seconds": 900.0,
    "started_at": NOON,
    "ended_at": NOON.replace(hour=13),
}


def rows(*changes):
    """Two runs that share all, and one for each set of changes."""
    return pa.Table.from_pylist([ONE, ONE, *({**ONE, **each} for each in changes)], SCHEMA)


def encoded(table):
    """The same with dictionaries for texts."""
    columns = [
        column.dictionary_encode() if pa.types.is_string(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def test_runs_that_share_everything_are_not_warned_of():
    assert provenance(rows()).warnings == []


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("version", "0.2.0", "mixed versions of raysweep: 2 runs of 0.1.0, 1 run of 0.2.0; num"),
        ("git_commit", "b" * 40, "mixed commits: 2 runs of aaaaaaaaaaaa, 1 run of bbbbbbbbbbbb;"),
        ("torch", "2.8.0+cpu", "mixed versions of torch: 2 runs of 2.9.0+cpu, 1 run of 2.8.0+"),
        ("device", "cuda (H200)", "mixed devices: 2 runs of cpu, 1 run of cuda (H200); the same"),
        ("git_dirty", True, "uncommitted changes: 1 of 3 runs used some, so no commit identifies"),
    ],
)
def test_each_mixture_is_one_warning(column, value, told):
    (warning,) = provenance(rows({column: value})).warnings
    assert warning.startswith(told)
    assert "\n" not in warning


@pytest.mark.parametrize("column", ["python", "host"])
def test_other_machines_of_one_kind_of_device_are_counted_without_a_warning(column):
    found = provenance(rows({column: "another"}))
    assert found.warnings == []
    assert found.counts[column] == {ONE[column]: 2, "another": 1}


@pytest.mark.parametrize("status", ["diverged", "stopped", "failed"])
def test_runs_without_a_number_in_the_table_are_not_warned_of(status):
    found = provenance(rows({"version": "0.2.0", "status": status}))
    assert found.warnings == []
    assert found.counts["version"] == {"0.1.0": 2, "0.2.0": 1}
    assert found.statuses == {"done": 2, status: 1}


def test_rows_that_do_not_tell_make_no_mixture():
    assert provenance(rows({"torch": None, "git_commit": None})).warnings == []


def test_rows_that_do_not_tell_are_counted_beside_a_mixture():
    (warning,) = provenance(rows({"torch": None}, {"torch": "2.8.0+cpu"})).warnings
    assert "1 run of 2.8.0+cpu, 1 of unknown; " in warning


def test_many_values_are_summed_up():
    others = [{"version": f"0.{place}.0"} for place in range(2, 9)]
    (warning,) = provenance(rows(*others)).warnings
    assert "2 runs of 0.1.0, 1 run of 0.2.0, 1 run of 0.3.0, 1 run of 0.4.0, 4 runs of 4" in warning


def test_hours_and_times_span_all_runs():
    late = {"started_at": NOON.replace(hour=14), "ended_at": NOON.replace(hour=15)}
    found = provenance(rows({**late, "status": "failed", "seconds": None}))
    assert (found.runs, found.hours) == (3, 0.5)
    assert (found.first_start, found.last_end) == (NOON, NOON.replace(hour=15))


def test_no_rows_have_no_provenance():
    found = provenance(SCHEMA.empty_table())
    assert (found.runs, found.hours, found.first_start, found.warnings) == (0, 0.0, None, [])


def test_an_older_store_tells_what_it_has():
    found = provenance(rows({"version": "0.2.0"}).drop_columns(["torch", "host", "ended_at"]))
    assert found.counts["torch"] == {None: 3}
    assert found.last_end is None
    assert len(found.warnings) == 1


@pytest.mark.parametrize("form", [encoded, pads.dataset], ids=["dictionaries", "dataset"])
def test_every_form_of_the_rows_tells_the_same(form):
    table = rows({"version": "0.2.0"}, {"device": None})
    assert provenance(form(table)) == provenance(table)


def test_chunks_with_other_dictionaries_are_counted_together():
    chunks = [encoded(rows()), encoded(rows({"version": "0.2.0"}))]
    assert provenance(pa.concat_tables(chunks)).counts["version"] == {"0.1.0": 4, "0.2.0": 1}


def test_json_holds_the_same_as_plain_data():
    found = provenance(rows({"git_dirty": None})).to_json()
    assert json.loads(json.dumps(found)) == found
    assert set(found["counts"]) == set(found["done"]) == set(ORIGINS)
    assert found["counts"]["git_dirty"] == [
        {"value": False, "runs": 2},
        {"value": None, "runs": 1},
    ]
    assert found["first_start"] == "2025-03-01T12:00:00+00:00"
