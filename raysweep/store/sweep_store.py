"""Folder of a sweep in a store: its files, and reading and writing of rows."""

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.errors import RaysweepError, StoreError
from raysweep.store import (
    checkpoints,
    compaction,
    curve_files,
    integrity,
    parquet_files,
    removal,
    schema,
    spec_file,
    sweep_paths,
    unique_rows,
)
from raysweep.store.constants import constants
from raysweep.store.digest_check import DigestCheck
from raysweep.store.files import Files
from raysweep.store.format import check_format
from raysweep.store.json_file import WRONG
from raysweep.store.listing import check_name, list_sweeps, no_such_sweep
from raysweep.sweep.spec import Spec

FEW_FILES = 64  # up to which all files are opened, needed or not

_CODED = pa.dictionary(pa.int32(), pa.string())


class SweepStore:
    """One sweep in a store.

    Args:
        store: The store's path or URI.
        sweep: The sweep's name.
    """

    def __init__(self, store: str, sweep: str) -> None:
        self.store = Files(store)
        check_name(self.store, sweep)
        self.sweep = sweep
        self.files = self.store.below(sweep)
        self._digests = DigestCheck(self.files)
        self._unique_files: list[str] = []  # the last files that were seen to have one row per run

    @property
    def uri(self) -> str:
        """Path or URI of the sweep's folder."""
        return self.files.uri

    def prepare(self, spec: Spec) -> None:
        """Mend the sweep's files, then write the spec; for the driver, under its lease."""
        self.mend(spec)
        self.write_spec(spec)

    def write_spec(self, spec: Spec) -> None:
        """Write the spec, which readers of the store then use; for the driver."""
        spec_file.write(self.files, spec)

    def mend(self, spec: Spec) -> None:
        """Move damaged files to `damaged/`, and convert the others to the spec's schema.

        For the driver, under its lease.

        Raises:
            StoreError: If a file cannot be reached, or an interrupted merge of rows lacks files.
        """
        present = integrity.mend(self.files)
        self._migrate(present["runs"], schema.runs_schema(spec))
        self._migrate(present["curves"], schema.curves_schema(spec))
        curve_files.set_orphans_aside(self.files)

    def spec(self) -> Spec:
        """Return the spec of the last session.

        Raises:
            SpecError: If the store has no such sweep.
            FormatTooNew: If a later version of raysweep wrote the sweep.
        """
        spec = spec_file.read(self.files)
        if spec is None:
            raise no_such_sweep(self.store, self.sweep, list_sweeps(self.store))
        return spec

    def labels_hold(self, spec: Spec) -> bool:
        """Return whether the stored labels of the spec's runs are the present ones."""
        return spec_file.labels_hold(self.files, spec)

    def check_format(self) -> None:
        """Check that this version can read the sweep, before reading or writing anything else.

        Raises:
            FormatTooNew: If it cannot. A damaged `spec.json` passes: the next session rewrites it.
        """
        data = self.files.read(sweep_paths.SPEC)
        with contextlib.suppress(*WRONG):
            check_format(json.loads(data or b"{}"), self.uri)

    def compact(self) -> tuple[int, int]:
        """Merge small files of rows; for one driver at a time.

        Returns:
            The number of files before and after.

        Raises:
            StoreError: If a file cannot be read or written, or is damaged.
        """
        removal.end(self.files)
        before = len(self._names("runs"))
        for _ in compaction.merges(self.files):
            pass
        return before, len(self._names("runs"))

    def remove_runs(self, run_ids: Collection[str], packs: Collection[str] = ()) -> removal.Removal:
        """Remove ended runs, and whole packs in flight; see `removal.remove`."""
        removal.end(self.files)
        compaction.end(self.files)
        rows = self.counted(["run_id", "configuration_id"])
        return removal.remove(self.files, rows, run_ids, packs)

    def names_of_rows(self) -> list[str]:
        """Return the files that together hold every ended run once."""
        return compaction.names_of_rows(self.files)

    def _names(self, folder: str) -> list[str]:
        """Return the files that together hold every row of a folder once."""
        if folder == "runs":
            return self.names_of_rows()
        return self.files.names(folder, ".parquet")

    def _migrate(self, present: Mapping[str, pa.Schema], wanted: pa.Schema) -> None:
        """Rewrite files that lack columns of the sweep.

        Args:
            present: Schema of each file, by name.
            wanted: Schema that the spec asks for.
        """
        merged = wanted
        for columns in present.values():
            merged = schema.merge(merged, columns)
        for name, columns in present.items():
            if not columns.equals(merged, check_metadata=True):
                self.files.write_table(name, schema.conform(self.files.read_table(name), merged))

    def schema(self, folder: str, wanted: pa.Schema) -> pa.Schema:
        """Return the schema that a new file of the folder must have."""
        names = self.files.names(folder, ".parquet")
        return schema.merge(wanted, self.files.read_schema(names[0])) if names else wanted

    def write_runs(self, name: str, rows: Iterable[Mapping[str, Any]], columns: pa.Schema) -> None:
        """Write rows of ended runs as `runs/<name>.parquet`."""
        self.files.write_table(sweep_paths.rows(name), schema.rows_table(rows, columns))

    def written_runs(self, name: str) -> list[dict[str, Any]]:
        """Return the rows that `write_runs` wrote under a name.

        Raises:
            StoreError: If the file cannot be read, or does not exist.
        """
        try:
            return self.files.read_table(sweep_paths.rows(name)).to_pylist()
        except FileNotFoundError as error:
            raise StoreError(
                f"cannot read {self.files.path(sweep_paths.rows(name))}: expected rows that a "
                "worker wrote, got no such file; make sure that driver and workers share the store "
                "and that nothing else changes it, then run the same command again"
            ) from error

    def write_attempt(self, run_id: str, attempt: int, error: str, **known: str | None) -> None:
        """Write one failed attempt of a run, with its `traceback` and `pack_id` if known."""
        now = datetime.now(timezone.utc)
        row = {"run_id": run_id, "attempt": attempt, "error": error, "time": now, **known}
        self.files.write_table(
            sweep_paths.attempt(run_id, attempt), schema.rows_table([row], schema.ATTEMPTS)
        )

    def runs(self, columns: list[str] | None = None) -> pa.Table:
        """Return every ended run, one row each; no rows if nothing has ended."""
        return self._table("runs", schema.runs_schema(self.spec()), columns)

    def counted(self, columns: Sequence[str]) -> pa.Table:
        """Return the present ones of these columns for every ended run, text dictionary-encoded."""
        dataset = self.encoded(columns)
        return self.read(dataset, [name for name in columns if name in dataset.schema.names])

    def encoded(self, texts: Sequence[str]) -> pads.Dataset:
        """Return the ended runs, with some text columns dictionary-encoded.

        A million repeating texts are read and grouped several times faster as dictionaries.
        """
        plain = self.dataset("runs", every_row=True)
        if not isinstance(plain, pads.FileSystemDataset):
            return plain  # nothing has ended
        fields = []
        for field in plain.schema:
            text = field.name in texts and pa.types.is_string(field.type)
            fields.append(pa.field(field.name, _CODED) if text else field)
        coded = pads.dataset(
            plain.files,
            schema=pa.schema(fields),
            format=pads.ParquetFileFormat(
                dictionary_columns=[field.name for field in fields if field.type == _CODED],
                default_fragment_scan_options=parquet_files.scan_options(self.files),
            ),
            filesystem=self.files.filesystem,
        )
        return self._one_row_per_run(coded)

    def curves(self) -> pa.Table:
        """Return metrics over steps."""
        return self._table("curves", schema.curves_schema(self.spec()), None)

    def attempts(self) -> pa.Table:
        """Return every failed attempt."""
        return self._table("attempts", schema.ATTEMPTS, None)

    def dataset(
        self,
        folder: str,
        empty: pa.Schema | None = None,
        *,
        encoded: bool = False,
        every_row: bool = False,
    ) -> pads.Dataset:
        """Return the folder's files, listed now, as a dataset to query in place.

        Args:
            folder: Name of the folder below the sweep's.
            empty: Schema of the result if there are no files.
            encoded: Whether text stays dictionary-encoded, which is faster where it repeats.
            every_row: Whether to include surplus rows of runs, which `repair` removes.
        """
        names = self._names(folder)
        if not names:
            if empty is None:
                spec = self.spec()
                empty = (schema.runs_schema if folder == "runs" else schema.curves_schema)(spec)
            return pads.dataset(empty.empty_table())
        dataset = self._files_as(names, encoded=encoded)
        return dataset if folder != "runs" or every_row else self._one_row_per_run(dataset)

    def _one_row_per_run(self, dataset: pads.FileSystemDataset) -> pads.Dataset:
        """Return the dataset with one row for each run.

        A second row of a run adds a file, so the same files need not be checked again.
        """
        if dataset.files == self._unique_files:
            return dataset
        with self.reading(dataset):
            unique = unique_rows.one_row_per_run(dataset)
        if unique is dataset:
            self._unique_files = dataset.files
        return unique

    def curves_of(self, run_ids: Iterable[str]) -> pads.Dataset:
        """Return the files of curves in which these runs may have rows, as a dataset.

        A file of curves is named after its pack, and a row of `runs` names the pack that ended the
        run, or a manifest the pack that trains it, so only few of many files must be opened.
        """
        names = self.files.names("curves", ".parquet")
        if len(names) <= FEW_FILES:
            return self.dataset("curves")
        ids = set(run_ids)
        wanted = pads.field("run_id").isin(pa.array(sorted(ids), pa.string()))
        ended = self.read(self.dataset("runs"), ["run_id", "pack_id"], wanted)
        packs = set(ended["pack_id"].to_pylist())
        if others := ids.difference(ended["run_id"].to_pylist()):
            packs |= checkpoints.packs_of(self.files, others)
        pack_ids = {name: file.pack_id for name in names if (file := curve_files.parsed(name))}
        selected = [name for name in names if pack_ids.get(name) in packs]
        if len(pack_ids) < len(names) or packs - {pack_ids[name] for name in selected} or not packs:
            return self.dataset("curves")  # raysweep did not name every file
        return self._files_as(selected)

    def _files_as(self, names: Sequence[str], *, encoded: bool = False) -> pads.Dataset:
        paths = [self.files.path(name) for name in names]
        with self._readable(names):
            columns = self._digests.check(names) or self.files.read_schema(names[0])
            self.files.check_shape(names[0], columns)
        if names[0].startswith("attempts/"):  # older versions wrote fewer columns
            columns = pa.unify_schemas([columns, schema.ATTEMPTS])
        texts = schema.texts(columns) if encoded else []
        return pads.dataset(
            paths,
            schema=schema.encoded(columns, texts),
            format=pads.ParquetFileFormat(
                dictionary_columns=texts,
                default_fragment_scan_options=parquet_files.scan_options(self.files),
            ),
            filesystem=self.files.filesystem,
        )

    def _table(self, folder: str, empty: pa.Schema, columns: list[str] | None) -> pa.Table:
        return self.read(self.dataset(folder, empty), columns)

    def read(
        self,
        dataset: pads.Dataset,
        columns: list[str] | None = None,
        where: pads.Expression | None = None,
    ) -> pa.Table:
        """Return a dataset's rows: all, or those that meet the expression.

        Raises:
            StoreError: If one of its files cannot be read.
        """
        with self.reading(dataset):
            return dataset.to_table(columns=columns, filter=where)

    def constants(self, dataset: pads.Dataset, names: Iterable[str]) -> dict[str, pa.Scalar]:
        """Return the value of each column of settings that is the same in all of a dataset's rows.

        Raises:
            StoreError: If one of its files cannot be read.
        """
        with self.reading(dataset):
            return constants(dataset, names)

    def count(self, folder: str) -> int:
        """Return the number of rows in a folder.

        Raises:
            StoreError: If one of its files cannot be read.
        """
        dataset = self.dataset(folder)
        with self.reading(dataset):
            return dataset.count_rows()

    def head(self, dataset: pads.Dataset, count: int, **options: Any) -> pa.Table:
        """Return the first rows of a dataset; the options are those of `Dataset.head`.

        Raises:
            StoreError: If one of its files cannot be read.
        """
        with self.reading(dataset):
            return dataset.head(count, **options)

    @contextlib.contextmanager
    def reading(self, *datasets: pads.Dataset) -> Iterator[None]:
        """Convert errors of reading datasets inside to ones that name the file.

        Raises:
            StoreError: If one of their files cannot be read.
        """
        with self._readable([name for dataset in datasets for name in self._names_in(dataset)]):
            yield

    def _names_in(self, dataset: pads.Dataset) -> list[str]:
        paths = dataset.files if isinstance(dataset, pads.FileSystemDataset) else []
        return [path.removeprefix(f"{self.files.root}/") for path in paths]

    @contextlib.contextmanager
    def _readable(self, names: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except RaysweepError:
            raise
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise parquet_files.cause(self.files, names, error) from error

    def remove(self) -> None:
        """Delete the sweep with all its results."""
        self.files.remove_folder("")
