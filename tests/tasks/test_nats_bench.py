"""The accuracies of NATS-Bench's cells: the table, and the benchmark's own files."""

import itertools
import shutil
import sys
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysweep.tasks.data import nats_bench

CELLS = ["|a|", "|b|", "|c|"]


@pytest.fixture
def copied(real_accuracies, tmp_path):
    """A folder of its own with the real table."""
    path = tmp_path / nats_bench.TABLE
    path.parent.mkdir()
    shutil.copy(real_accuracies / nats_bench.TABLE, path)
    return tmp_path


@pytest.fixture
def benchmark(tmp_path, monkeypatch):
    """A benchmark of three cells, whose accuracy says what was asked for."""
    (tmp_path / nats_bench.FULL).mkdir()
    asked = []

    def info(cell, dataset, *, hp, is_random):
        asked.append((cell, dataset, hp))
        assert is_random is False
        part = len(dataset) + int(hp)
        return {"valid-accuracy": cell + part, "test-accuracy": cell + part + 0.5}

    monkeypatch.setattr(nats_bench, "CELLS", len(CELLS))
    made = SimpleNamespace(meta_archs=CELLS, get_more_info=info)
    package = SimpleNamespace(create=lambda path, space, **options: made)
    monkeypatch.setitem(sys.modules, "nats_bench", package)
    return asked


def test_both_files_of_the_table_say_the_same(real_accuracies, tmp_path):
    path = tmp_path / nats_bench.TEXT_TABLE
    path.parent.mkdir()
    shutil.copy(real_accuracies / nats_bench.TEXT_TABLE, path)
    for dataset in nats_bench.DATA_SETS:
        cells, columns = nats_bench.load(dataset, tmp_path)
        others, known = nats_bench.load(dataset, real_accuracies)
        assert cells == others
        assert {name: known[name].tolist() for name in known} == {
            name: column.tolist() for name, column in columns.items()
        }


def test_a_table_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"accuracy table .*nats_tss_accuracies\.parquet"):
        nats_bench.fetch(tmp_path)


def test_a_table_with_other_accuracies_is_refused(copied):
    path = copied / nats_bench.TABLE
    table = pq.read_table(path)
    column = table["cifar10_val_12"].to_pylist()
    column[5] += 0.01
    index = table.schema.get_field_index("cifar10_val_12")
    pq.write_table(table.set_column(index, "cifar10_val_12", pa.array(column)), path)
    message = "must hold the accuracies of NATS-Bench, but does not; put the right one there"
    with pytest.raises(ValueError, match=message):
        nats_bench.load("cifar10", copied)


def test_a_table_without_a_column_is_refused(copied):
    path = copied / nats_bench.TABLE
    pq.write_table(pq.read_table(path).drop_columns("cifar100_test_12"), path)
    with pytest.raises(ValueError, match="lacks the column cifar100_test_12; put"):
        nats_bench.load("cifar100", copied)


def test_a_table_that_is_cut_off_is_refused(copied):
    path = copied / nats_bench.TABLE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged"):
        nats_bench.load("cifar10", copied)


def test_a_damaged_table_is_refused_before_anything_starts(copied):
    path = copied / nats_bench.TABLE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged"):
        nats_bench.fetch(copied)


@pytest.mark.parametrize("rows", [[0, 1], [0, 1, 1]])
def test_a_copy_of_the_benchmark_without_all_cells_is_refused(tmp_path, benchmark, rows):
    nats_bench.fetch(tmp_path, full=True)
    path = tmp_path / nats_bench.FULL_TABLE
    pq.write_table(pq.read_table(path).take(rows), path)
    message = "must hold the accuracies of NATS-Bench, but does not; delete it to copy it again"
    with pytest.raises(ValueError, match=message):
        nats_bench.load("cifar10", tmp_path, full=True)


def test_the_benchmark_has_its_own_validation_after_200_epochs(tmp_path, benchmark):
    for dataset, length in (("cifar10", 13), ("cifar100", 8), ("imagenet16", 14)):
        cells, columns = nats_bench.load(dataset, tmp_path, full=True)
        assert cells == CELLS
        assert columns["val_200"].tolist() == [length + 200 + cell for cell in range(3)]
    test = columns["test_12"].tolist()
    assert test == [14 + 12 + cell + 0.5 for cell in range(3)]


def test_the_benchmark_is_read_once(tmp_path, benchmark):
    for _ in range(2):
        nats_bench.fetch(tmp_path, full=True)
    names = ("cifar10-valid", "cifar10", "cifar100", "cifar100", *["ImageNet16-120"] * 2)
    assert sorted(benchmark) == sorted(itertools.product(range(3), names, ("12", "200")))


def test_others_can_read_the_copy_of_the_benchmark(tmp_path, benchmark):
    nats_bench.fetch(tmp_path, full=True)
    (tmp_path / "new").touch()
    copy = tmp_path / nats_bench.FULL_TABLE
    assert copy.stat().st_mode == (tmp_path / "new").stat().st_mode
    assert list(copy.parent.iterdir()) == [copy]


def test_a_benchmark_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"needs the benchmark as .*NATS-tss-v1_0-3ffb9"):
        nats_bench.fetch(tmp_path, full=True)


def test_the_package_that_reads_the_benchmark_is_named(tmp_path, monkeypatch):
    (tmp_path / nats_bench.FULL).mkdir()
    monkeypatch.setitem(sys.modules, "nats_bench", None)
    with pytest.raises(ValueError, match="pip install nats_bench"):
        nats_bench.fetch(tmp_path, full=True)
