"""A sweep's folder in a store: every file name, and how rows go in and come out."""

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from raysweep.errors import RaysweepError, SpecError, StoreError, nearest
from raysweep.store import (
    compaction,
    curve_files,
    integrity,
    parquet_files,
    removal,
    schema,
    spec_file,
    standing_rows,
)
from raysweep.store.constants import constants
from raysweep.store.digest_check import DigestCheck
from raysweep.store.files import Files
from raysweep.store.format import check_format
from raysweep.store.json_file import WRONG
from raysweep.sweep.spec import NAME, Spec

FEW_FILES = 64  # that are opened without looking which are needed

_CODED = pa.dictionary(pa.int32(), pa.string())


class SweepStore:
    """One sweep in a store.

    Args:
        store: The store's path or URI.
        sweep: The sweep's name.
    """

    def __init__(self, store: str, sweep: str) -> None:
        if not NAME.fullmatch(sweep):
            raise SpecError(
                "expected a sweep's name of lower-case letters, digits, '.', '_' and '-', at most "
                f"64, got {sweep!r}"
            )
        self.store = Files(store)
        self.sweep = sweep
        self.files = self.store.below(sweep)
        self._digests = DigestCheck(self.files)
        self._one_row_each: list[str] = []  # the last files of rows that were seen to hold that

    @property
    def uri(self) -> str:
        """Where the sweep is."""
        return self.files.uri

    def prepare(self, spec: Spec) -> None:
        """Does `mend`, and writes the spec; for the driver, under its lease."""
        self.mend(spec)
        self.write_spec(spec)

    def write_spec(self, spec: Spec) -> None:
        """Makes the spec the one that readers of the store go by; for the driver."""
        spec_file.write(self.files, spec)

    def mend(self, spec: Spec) -> None:
        """Sets damaged files aside, and brings the others under the spec's schema.

        For the driver, under its lease.

        Raises:
            StoreError: If a file cannot be reached, or a merge of rows that was cut off lacks some.
        """
        present = integrity.mend(self.files)
        self._migrate(present["runs"], schema.runs_schema(spec))
        self._migrate(present["curves"], schema.curves_schema(spec))
        curve_files.set_orphans_aside(self.files)

    def spec(self) -> Spec:
        """The spec as last run.

        Raises:
            SpecError: If the store has no such sweep.
            FormatTooNew: If a later raysweep wrote it.
        """
        spec = spec_file.read(self.files)
        if spec is None:
            known = list_sweeps(self.store)
            raise SpecError(
                f"expected a sweep in {self.store.uri}, got {self.sweep!r}"
                f"{nearest(self.sweep, known) or '; the store is empty'}"
            )
        return spec

    def check_format(self) -> None:
        """Refuses a sweep that a later raysweep wrote, before anything else is read or written.

        Raises:
            FormatTooNew: If it did; a damaged `spec.json`, which a session writes anew, passes.
        """
        data = self.files.read("spec.json")
        with contextlib.suppress(*WRONG):
            check_format(json.loads(data or b"{}"), self.uri)

    def compact(self) -> tuple[int, int]:
        """Merges small files of rows; how many there were, and are. For one driver at a time.

        Raises:
            StoreError: If a file cannot be read or written, or is damaged.
        """
        removal.end(self.files)
        before = len(self._names("runs"))
        for _ in compaction.merges(self.files):
            pass
        return before, len(self._names("runs"))

    def remove_runs(self, run_ids: Collection[str], packs: Collection[str] = ()) -> removal.Removal:
        """Removes ended runs, and whole packs in flight; see `removal.remove`."""
        removal.end(self.files)
        compaction.end(self.files)
        rows = self.counted(["run_id", "configuration_id"])
        return removal.remove(self.files, rows, run_ids, packs)

    def names_of_rows(self) -> list[str]:
        """The files that together hold every ended run once."""
        return compaction.names_of_rows(self.files)

    def _names(self, folder: str) -> list[str]:
        """The files that together hold every row of a folder once."""
        if folder == "runs":
            return self.names_of_rows()
        return self.files.names(folder, ".parquet")

    def _migrate(self, present: Mapping[str, pa.Schema], wanted: pa.Schema) -> None:
        """Rewrites files if the sweep has grown columns that they lack.

        Args:
            present: Schema of each file, by name.
            wanted: Schema that the spec asks for.
        """
        merged = wanted
        for each in present.values():
            merged = schema.merge(merged, each)
        for name, each in present.items():
            if not each.equals(merged, check_metadata=True):
                self.files.write_table(name, schema.conform(self.files.read_table(name), merged))

    def schema(self, folder: str, wanted: pa.Schema) -> pa.Schema:
        """The schema that a new file of the folder must have."""
        names = self.files.names(folder, ".parquet")
        return schema.merge(wanted, self.files.read_schema(names[0])) if names else wanted

    def write_runs(self, name: str, rows: Iterable[Mapping[str, Any]], columns: pa.Schema) -> None:
        """Puts rows of ended runs down as `runs/<name>.parquet`."""
        self.files.write_table(f"runs/{name}.parquet", schema.rows_table(rows, columns))

    def written_runs(self, name: str) -> list[dict[str, Any]]:
        """The rows that `write_runs` put down under a name.

        Raises:
            StoreError: If they cannot be read, or are not there.
        """
        try:
            return self.files.read_table(f"runs/{name}.parquet").to_pylist()
        except FileNotFoundError as error:
            raise StoreError(
                f"cannot read {self.files.path(f'runs/{name}.parquet')}: expected the rows that a "
                "worker has written, got no such file; driver and workers must share the store, "
                "and nothing else may change it: look at it, and run the same command again"
            ) from error

    def write_attempt(self, run_id: str, attempt: int, error: str) -> None:
        """Notes one failed attempt of a run."""
        row = {
            "run_id": run_id,
            "attempt": attempt,
            "error": error,
            "time": datetime.now(timezone.utc),
        }
        self.files.write_table(
            f"attempts/{run_id}-{attempt}.parquet", schema.rows_table([row], schema.ATTEMPTS)
        )

    def runs(self, columns: list[str] | None = None) -> pa.Table:
        """Every ended run, one row each; no rows if nothing has ended."""
        return self._table("runs", schema.runs_schema(self.spec()), columns)

    def counted(self, columns: Sequence[str]) -> pa.Table:
        """Columns of every ended run, to be counted: those there are, texts dictionary-encoded."""
        dataset = self.encoded(columns)
        return self.read(dataset, [name for name in columns if name in dataset.schema.names])

    def encoded(self, texts: Sequence[str]) -> pads.Dataset:
        """The ended runs, with some columns of text dictionary-encoded.

        A million texts that repeat are read, and grouped, several times faster as dictionaries.
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
        return self._holding(coded)

    def curves(self) -> pa.Table:
        """Metrics over steps."""
        return self._table("curves", schema.curves_schema(self.spec()), None)

    def attempts(self) -> pa.Table:
        """Every failed attempt."""
        return self._table("attempts", schema.ATTEMPTS, None)

    def dataset(
        self,
        folder: str,
        empty: pa.Schema | None = None,
        *,
        encoded: bool = False,
        every_row: bool = False,
    ) -> pads.Dataset:
        """The folder's files, listed now, as a dataset to query in place.

        Args:
            folder: Below the sweep's.
            empty: The schema where there are no files.
            encoded: Whether texts come as codes, as they are stored: faster where they repeat.
            every_row: Whether runs may come with further rows, which `repair` removes.
        """
        names = self._names(folder)
        if not names:
            if empty is None:
                spec = self.spec()
                empty = (schema.runs_schema if folder == "runs" else schema.curves_schema)(spec)
            return pads.dataset(empty.empty_table())
        dataset = self._files_as(names, encoded=encoded)
        return dataset if folder != "runs" or every_row else self._holding(dataset)

    def _holding(self, dataset: pads.FileSystemDataset) -> pads.Dataset:
        """The dataset with one row for each run.

        A second row of a run comes with a file of another name: the same files need no other look.
        """
        if dataset.files == self._one_row_each:
            return dataset
        with self.reading(dataset):
            found = standing_rows.holding(dataset)
        if found is dataset:
            self._one_row_each = dataset.files
        return found

    def curves_of(self, run_ids: Iterable[str]) -> pads.Dataset:
        """The curve files in which these runs may have rows, as a dataset.

        A file of curves is named after its pack, and a row of `runs` tells the pack that ended the
        run; so of many files few have to be opened.
        """
        names = self.files.names("curves", ".parquet")
        if len(names) <= FEW_FILES:
            return self.dataset("curves")
        wanted = pads.field("run_id").isin(pa.array(sorted(set(run_ids)), pa.string()))
        packs = set(self.read(self.dataset("runs"), ["pack_id"], wanted)["pack_id"].to_pylist())
        own = {name: each.pack_id for name in names if (each := curve_files.parsed(name))}
        found = [name for name in names if own.get(name) in packs]
        if len(own) < len(names) or packs - {own[name] for name in found} or not packs:
            return self.dataset("curves")  # some are named by somebody else
        return self._files_as(found)

    def _files_as(self, names: Sequence[str], *, encoded: bool = False) -> pads.Dataset:
        paths = [self.files.path(name) for name in names]
        with self._readable(names):
            columns = self._digests.check(names) or self.files.read_schema(names[0])
            self.files.check_shape(names[0], columns)
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
        """A dataset's rows: all, or those for which the expression holds.

        Raises:
            StoreError: If one of its files cannot be read.
        """
        with self.reading(dataset):
            return dataset.to_table(columns=columns, filter=where)

    def constants(self, dataset: pads.Dataset, names: Iterable[str]) -> dict[str, pa.Scalar]:
        """The columns of settings that hold one value in all of a dataset's rows, with it.

        Raises:
            StoreError: If one of its files cannot be read.
        """
        with self.reading(dataset):
            return constants(dataset, names)

    def count(self, folder: str) -> int:
        """Rows in a folder.

        Raises:
            StoreError: If one of its files cannot be read.
        """
        dataset = self.dataset(folder)
        with self.reading(dataset):
            return dataset.count_rows()

    def head(self, dataset: pads.Dataset, count: int, **options: Any) -> pa.Table:
        """The first rows of a dataset; the options are those of `Dataset.head`.

        Raises:
            StoreError: If one of its files cannot be read.
        """
        with self.reading(dataset):
            return dataset.head(count, **options)

    @contextlib.contextmanager
    def reading(self, *datasets: pads.Dataset) -> Iterator[None]:
        """Names the file at fault where reading datasets fails inside.

        Raises:
            StoreError: If one of their files cannot be read.
        """
        with self._readable([name for each in datasets for name in self._names_in(each)]):
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
            raise parquet_files.at_fault(self.files, names, error) from error

    def remove(self) -> None:
        """Deletes the sweep with all its results."""
        self.files.remove_folder("")


def list_sweeps(store: Files) -> list[str]:
    """The sweeps of a store.

    Raises:
        StoreError: If the store cannot be reached.
    """
    return [name for name in list_folders(store) if NAME.fullmatch(name)]


def list_folders(store: Files) -> list[str]:
    """The folders of a store that hold a sweep, whatever their names are.

    Raises:
        StoreError: If the store cannot be reached.
    """
    folders = store.folders()
    if not folders:
        store.check_bucket()
    return [name for name in folders if store.below(name).exists("spec.json")]
