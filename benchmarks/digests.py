"""What digests and checksums cost: training with and without them, in turns, in one process.

    python -m benchmarks.digests [--turns N]

A sweep of the digits VAE trains in process, with a checkpoint every second, as often with digests
as without. Compared is the time of the processor, which other programs disturb less than the
clock. Without them, files are written and read as before there were any.
"""

import argparse
import contextlib
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

import raysweep
from raysweep.store import parquet

SWEEP = {
    "name": "digests",
    "tasks": {"digits": {"task": "categorical_vae", "dataset": "digits", "steps": 600}},
    "estimators": {"ST": {"estimator": "straight_through"}},
    "training": {"lr": [0.001, 0.0005]},
    "seeds": 4,
    "resources": {"checkpoint_s": 1},
}


class NoDigest:
    """Stands in for SHA-256, and looks at nothing."""

    def __init__(self, data: bytes = b"") -> None:
        self.name = "none"

    def update(self, data: bytes) -> None:
        """Takes the data in, and forgets it."""

    def hexdigest(self) -> str:
        """Zeros."""
        return "0" * 64


def plain_bytes(table: pa.Table) -> bytes:
    """A Parquet file without digest and checksums."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


@contextlib.contextmanager
def without_digests() -> Iterator[None]:
    """Nothing is hashed, and no page has a checksum."""
    with (
        mock.patch.object(hashlib, "sha256", NoDigest),
        mock.patch.object(parquet, "to_bytes", plain_bytes),
        mock.patch.object(parquet, "has_digest", return_value=True),
        mock.patch("raysweep.store.json_file.with_digest", lambda data: json.dumps(data).encode()),
        mock.patch("raysweep.store.json_file.check_digest"),
        mock.patch("raysweep.identity.hashlib", _Hashes),
    ):
        yield


class _Hashes:
    """Identities need real digests."""

    sha256 = staticmethod(hashlib.sha256)


def train() -> float:
    """Seconds of the processor that the sweep takes in a new store."""
    with tempfile.TemporaryDirectory() as store:
        began = time.process_time()
        raysweep.run(SWEEP, store=store, inline=True)
        return time.process_time() - began


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
    print(f"median ratio {statistics.median(ratios):.4f}")


if __name__ == "__main__":
    main()
