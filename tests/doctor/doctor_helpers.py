"""What is done to sweeps, and how they are compared."""

import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from raysweep.store import compaction
from raysweep.store.checkpoints import Checkpoints
from raysweep.store.removal import COLUMNS
from raysweep.store.removal import PLAN as REMOVAL

STORES = Path(__file__).parent.parent / "assets" / "stores"
SPEC = {
    "name": "toys",
    "tasks": {"walk": {"task": "toy"}},
    "estimators": {"ST": {"estimator": "straight_through", "temperature": [1.0, 2.0]}},
    "training": {"lr": [0.1, 0.3]},
    "seeds": 2,
    "resources": {"pack": 2},
}
PACK = "0123456789abcdef"  # of nobody
HEX = "0" * 32


def names(store, folder):
    return store.files.names(folder)


def first(store, folder):
    return names(store, folder)[0]


def flip(store, name, at=0.3):
    """Changes one bit of a file."""
    data = bytearray(store.files.read(name))
    data[int(at * len(data))] ^= 4
    store.files.write(name, bytes(data))


def contents(folder):
    """Every file of a folder with its content."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def values(store):
    """Status and loss of every run."""
    rows = store.runs(["run_id", "status", "metric.train_loss"]).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def aged(path, seconds=1000):
    then = time.time() - seconds
    os.utime(path, (then, then))


def flipped_rows(store):
    flip(store, first(store, "runs"))


def truncated_curves(store):
    name = first(store, "curves")
    store.files.write(name, store.files.read(name)[:-9])


def no_curves(store):
    store.files.remove(first(store, "curves"))


def fewer_steps(store):
    name = first(store, "curves")
    table = store.files.read_table(name)
    store.files.write_table(name, table.filter(pc.less(table["step"], 15)))


def broken_attempt(store):
    store.write_attempt(PACK, 1, "an error")
    flip(store, first(store, "attempts"))


def broken_decisions(store):
    store.files.write("decisions/00000000.parquet", b"PAR1")


def broken_search(store):
    store.files.write("search.json", b"[")


def broken_again(store):
    store.files.write("again.json", b"[]")


def broken_removal(store):
    store.files.write(REMOVAL, b"PAR1")


def cut_removal(store):
    (run_id, *_) = store.runs()["run_id"].to_pylist()
    rows = [{"kind": "runs", "id": run_id}]
    store.files.write_table(REMOVAL, pa.Table.from_pylist(rows, schema=COLUMNS))


def cut_merge(store, changes=3):
    steps = compaction.merges(store.files)
    for _ in range(changes + 1):
        next(steps, None)


def merge_without_rows(store):
    cut_merge(store)
    store.files.remove(compaction.ROWS)


def merge_without_plan(store):
    cut_merge(store)
    store.files.write(compaction.PLAN, b"{")


def orphan_curves(store):
    table = store.files.read_table(first(store, "curves"))
    store.files.write_table(f"curves/{PACK}-5.parquet", table.slice(0, 0))


def state_alone(store):
    store.files.write(f"checkpoints/{PACK}/state-5-2.pt", b"a state")


def killed_writer(store):
    path = Path(store.files.path(f"runs/.{PACK}.parquet.{HEX}"))
    path.write_bytes(b"PAR1")
    aged(path)


def second_row(store):
    """As an earlier version left it: a failed row in the file of a pack, a good one in another."""
    table = store.files.read_table(first(store, "runs")).slice(0, 1)
    place = table.column_names.index("status")
    failed = table.set_column(place, table.schema.field(place), pa.array(["failed"]))
    store.files.write_table(f"runs/{PACK}.parquet", failed)


def failed_among_others(store):
    name = first(store, "runs")
    table = store.files.read_table(name)
    place = table.column_names.index("status")
    statuses = pa.array(["failed", *table["status"].to_pylist()[1:]])
    store.files.write_table(name, table.set_column(place, table.schema.field(place), statuses))


def steps_of_two_packs(store):
    """The curves of a pack in those of another, too."""
    one, other = names(store, "curves")[:2]
    both = [store.files.read_table(each) for each in (one, other)]
    store.files.write_table(other, pa.concat_tables(both))


def dead_lease(store):
    store.files.write(
        "lease",
        b'{"token": "t", "host": "elsewhere", "pid": 12, "started": "1", "epoch": 4, '
        b'"heartbeat": 1.0}',
    )


def broken_manifest(store):
    (pack_id,) = store.files.folders("checkpoints")
    flip(store, f"checkpoints/{pack_id}/manifest.json")


def broken_state(store):
    (name,) = [
        f"checkpoints/{each}/{path.name}"
        for each in store.files.folders("checkpoints")
        for path in Path(store.files.path(f"checkpoints/{each}")).glob("*.pt")
    ]
    flip(store, name)


def missing_state(store):
    (pack_id,) = store.files.folders("checkpoints")
    for name in store.files.names(f"checkpoints/{pack_id}", ".pt"):
        store.files.remove(name)


def rows_of_pack_in_flight(store):
    """As if the worker had been killed after it wrote the rows, before the checkpoint went."""
    (pack_id,) = store.files.folders("checkpoints")
    pack = Checkpoints(store.files, pack_id).manifest().pack
    spec = store.spec()
    from raysweep.store import schema

    columns = schema.runs_schema(spec)
    rows = [
        {"run_id": run.run_id, "pack_id": pack_id, "status": "done", "attempts": 1}
        for run in pack.runs
    ]
    store.write_runs(pack_id, rows, columns)
