"""What digests and checksums cost: training with and without them, in turns, in one process.

    python -m benchmarks.digests [--turns N]

A sweep of the digits VAE trains in process, with a checkpoint every second, as often with digests
as without. Compared is the time of the processor, which other programs disturb less than the
clock. Without them, files are written and read as before there were any. Where other programs make
turns differ by more than digests cost, the share tells more: the time in the functions that hash
states, manifests and files, and that write files with checksums, of the whole.
"""

import argparse
import contextlib
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

import raysweep
from raysweep.store import json_file, parquet

SWEEP = {
    "name": "digests",
    "tasks": {"digits": {"task": "categorical_vae", "dataset": "digits", "steps": 600}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "training": {"lr": [0.001, 0.0005]},
    "seeds": 4,
    "resources": {"checkpoint_s": 1},
}


class NoHashes:
    """Stands in for `hashlib` in the store's modules, and looks at nothing."""

    def __init__(self, data: bytes = b"") -> None:
        self.size = len(data)

    def hexdigest(self) -> str:
        """Zeros."""
        return "0" * 64

    @classmethod
    def sha256(cls, data: bytes) -> "NoHashes":
        """No hash."""
        return cls(data)


def plain_bytes(table: pa.Table) -> bytes:
    """A Parquet file without digest and checksums."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


@contextlib.contextmanager
def without_digests() -> Iterator[None]:
    """Nothing is hashed, and no page has a checksum."""
    with (
        mock.patch("raysweep.store.checkpoints.hashlib", NoHashes),
        mock.patch("raysweep.store.files.hashlib", NoHashes),
        mock.patch("raysweep.store.json_file._digest", return_value="0" * 64),
        mock.patch.object(parquet, "to_bytes", plain_bytes),
        mock.patch.object(parquet, "has_digest", return_value=True),
    ):
        yield


class Share:
    """Time of the processor in some functions, which it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*arguments: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.thread_time() - began

        return timed


def share() -> float:
    """What part of a sweep's time goes into digests, and into writing files that have them."""
    spent = Share()

    class Hashes:
        sha256 = staticmethod(spent.of(hashlib.sha256))

    with (
        mock.patch("raysweep.store.checkpoints.hashlib", Hashes),
        mock.patch("raysweep.store.files.hashlib", Hashes),
        mock.patch("raysweep.store.json_file._digest", spent.of(json_file._digest)),
        mock.patch.object(parquet, "to_bytes", spent.of(parquet.to_bytes)),
        mock.patch.object(parquet, "has_digest", spent.of(parquet.has_digest)),
    ):
        whole = train()
    return spent.seconds / whole


def train() -> float:
    """Seconds of the processor that the sweep takes in a new store."""
    with tempfile.TemporaryDirectory() as store:
        began = time.process_time()
        rows = raysweep.run(SWEEP, store=store, inline=True).runs()
        seconds = time.process_time() - began
        if rows["status"].to_pylist() != ["done"] * 8:
            raise SystemExit("expected every run to be done")
        return seconds


def main() -> None:
    """Prints the ratio of both times."""
    parser = argparse.ArgumentParser(description="Cost of digests and checksums.")
    parser.add_argument("--turns", type=int, default=5)
    turns: Any = parser.parse_args().turns
    train()  # imports, caches
    ratios = []
    for turn in range(turns):
        with without_digests():
            plain = train()
        full = train()
        ratios.append(full / plain)
        print(f"turn {turn}: {plain:.2f} s without, {full:.2f} s with, ratio {full / plain:.4f}")
    print(f"median ratio {statistics.median(ratios):.4f}, share {share():.4%}")


if __name__ == "__main__":
    main()
