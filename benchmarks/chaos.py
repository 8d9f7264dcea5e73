"""One sweep that is disturbed again and again, beside the same sweep left alone.

A seeded script kills the driver, its workers, raylets and nodes, suspends the driver, flips bits
and damages files in the store, and makes the bucket fail. Whenever the driver ends, it is started
again with the same command. At last `raysweep doctor --fix` and the same command once more, and the
store must be that of the undisturbed sweep: the same rows and curves, each run once, and no more
steps repeated than the checkpoints allow.

    python -m benchmarks.chaos                       # 300 runs on a bucket and a cluster, 30 faults
    python -m benchmarks.chaos --local --faults 5    # 36 runs in a folder, without Ray
"""

import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

import raysweep
from benchmarks.chaos_report import CHECKPOINT_S, PACK, Report, outcome
from benchmarks.places import Bucket, Nodes, StoreFiles, bucket

SWEEP = """
name: chaos
tasks: {{quadratic: {{task: polynomial, latents: 16, batch_size: 32, steps: {steps}}}}}
estimators:
  ST: {{estimator: straight_through, temperature: [1.0, 1.5]}}
  ReinMax: {{estimator: reinmax, temperature: [1.0, 1.3, 1.5]}}
training: {{lr: [0.003, 0.001]}}
seeds: {seeds}
resources: {{checkpoint_s: {checkpoint_s}, pack: {pack}, max_failures: 3}}
"""
CONFIGURATIONS = 10
WITH_LOST_CURVES = """
with lengths as (
  select run_id, count(step) as points from runs left join curves using (run_id) group by run_id
)
select run_id from lengths where points < (select max(points) from lengths)
"""
DAMAGES = ("bit flipped", "file truncated")
LONGEST_S = 3600.0


@dataclasses.dataclass
class Place:
    """Where a sweep runs.

    Args:
        spec: The sweep file.
        store: The store as the driver is given it.
        direct: The same store, without anything that may fail in between.
        options: Options of `raysweep run`.
        bucket: The bucket, if the store is in one.
        nodes: The Ray nodes, if there are any.
    """

    spec: Path
    store: str
    direct: str
    options: tuple[str, ...]
    bucket: Bucket | None = None
    nodes: Nodes | None = None

    def command(self, *arguments: str) -> list[str]:
        """The command line's program with arguments."""
        return [sys.executable, "-m", "raysweep.cli.main", *arguments]


class Driver:
    """`raysweep run`, started again whenever it ends.

    Args:
        place: Where it runs.
        log: The file that gets its output.
    """

    def __init__(self, place: Place, log: Path) -> None:
        self.place, self.log = place, log
        self.exits: Counter[int] = Counter()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "subprocess.Popen[bytes]":
        """Starts it, unless it runs."""
        if self.process is None or self.process.poll() is not None:
            self.note_end()
            place = self.place
            arguments = ["run", str(place.spec), "--store", place.store, *place.options]
            with self.log.open("a") as log:
                self.process = subprocess.Popen(
                    place.command(*arguments), stdout=log, stderr=log, start_new_session=True
                )
        return self.process

    def note_end(self) -> None:
        """Counts how it ended, if it did."""
        if self.process is not None and self.process.poll() is not None:
            self.exits[self.process.returncode] += 1
            self.process = None

    def kill(self) -> None:
        """Kills it, and waits for its end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.note_end()

    def finish(self) -> None:
        """Starts it until everything is done.

        Raises:
            RuntimeError: If that takes an hour, or something else than a fault ends it ten times.
        """
        for _ in range(10):
            if self.start().wait(LONGEST_S) == 0:
                self.note_end()
                return
            self.note_end()
        raise RuntimeError(f"expected the sweep to end, got exit codes {dict(self.exits)}")


class Chaos:
    """Faults, one after another, drawn by a seeded generator.

    Args:
        place: Where the sweep runs.
        driver: Its driver.
        seed: Decides the faults and when they come.
    """

    def __init__(self, place: Place, driver: Driver, seed: int) -> None:
        self.place, self.driver = place, driver
        self.rng = random.Random(seed)
        self.files = StoreFiles(place.direct)
        self.done: Counter[str] = Counter()

    def kinds(self) -> Mapping[str, Callable[[], bool]]:
        """What can happen here, each returning whether it could be done now."""
        found: dict[str, Callable[[], bool]] = {
            "driver killed": self.kill_driver,
            "driver suspended": self.suspend_driver,
            **dict(zip(DAMAGES, (self.flip_bit, self.truncate), strict=True)),
        }
        if self.place.bucket is not None:
            found["bucket failed"] = self.break_bucket
        if self.place.nodes is not None:
            nodes = self.place.nodes
            found["worker killed"] = lambda: nodes.kill_worker(self.rng)
            found["raylet killed"] = lambda: nodes.kill_raylet(self.rng) or True
            found["node lost"] = lambda: nodes.lose(self.rng) or True
        return found

    def run(self, faults: int, pause_s: tuple[float, float]) -> None:
        """Disturbs the sweep so many times; every kind once before any comes twice."""
        kinds = self.kinds()
        waiting: list[str] = []
        while sum(self.done.values()) < faults:
            if not waiting:
                waiting = self.rng.sample(sorted(kinds), len(kinds))
            if self._trains():
                time.sleep(self.rng.uniform(*pause_s))
                kind = waiting.pop()
            else:  # nothing is left to kill, but what was written can still be damaged
                kind = self.rng.choice(DAMAGES)
            if kinds[kind]():
                self.done[kind] += 1
                click.echo(f"{sum(self.done.values())}. {kind}", err=True)
            elif kind not in DAMAGES:
                waiting.insert(0, kind)  # nothing to kill at this moment

    def _trains(self) -> bool:
        """Waits until the driver's packs train; False if the sweep ended before."""
        process = self.driver.start()
        before = self.files.changed("/checkpoints/")
        while self.files.changed("/checkpoints/") <= before:
            if process.poll() == 0:
                return False
            process = self.driver.start()
            time.sleep(0.2)
        return True

    def kill_driver(self) -> bool:
        """SIGKILL."""
        process = self.driver.process
        if process is None or process.poll() is not None:
            return False
        self.driver.kill()
        return True

    def suspend_driver(self) -> bool:
        """SIGSTOP, and SIGCONT after some seconds."""
        process = self.driver.process
        if process is None or process.poll() is not None:
            return False
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(self.rng.choice([1.0, 5.0]))
        os.kill(process.pid, signal.SIGCONT)
        return True

    def flip_bit(self) -> bool:
        """One bit of one file of results or of a checkpoint, while nobody drives the sweep."""

        def flipped(data: bytes) -> bytes:
            place = self.rng.randrange(8 * len(data))
            changed = bytearray(data)
            changed[place // 8] ^= 1 << place % 8
            return bytes(changed)

        return self._damage(flipped)

    def truncate(self) -> bool:
        """One such file ends anywhere."""
        return self._damage(lambda data: data[: self.rng.randrange(len(data))])

    def _damage(self, change: Callable[[bytes], bytes]) -> bool:
        self.driver.kill()
        time.sleep(0.2)
        kinds = [("/runs/",), ("/curves/",), ("state-",), ("manifest.json",)]
        for parts in self.rng.sample(kinds, len(kinds)):
            names = [name for name in self.files.names(*parts) if "/damaged/" not in name]
            if names:
                name = self.rng.choice(names)
                self.files.write(name, change(self.files.read(name)))
                return True
        return False

    def break_bucket(self) -> bool:
        """The bucket answers 503, drops connections, refuses keys, or is slow, for a while."""
        if self.place.bucket is None:
            return False
        proxy = self.place.bucket.proxy
        proxy.fault = self.rng.choice(["slow down", "drop", "expired", "delay"])
        time.sleep(self.rng.uniform(2, 8))
        proxy.fault = None
        return True


def mend(place: Place, driver: Driver) -> int:
    """`raysweep doctor --fix`, and a new training of runs whose curves are lost; how many."""
    doctor = place.command("doctor", "chaos", "--fix", "--store", place.direct)
    with driver.log.open("a") as log:
        subprocess.run(doctor, stdout=log, stderr=log, check=False)
    driver.finish()
    results = raysweep.open(place.direct, "chaos")
    lost = results.sql(WITH_LOST_CURVES)["run_id"].to_pylist()
    if lost:
        listed = ", ".join(f"'{run_id}'" for run_id in lost)
        again = place.options
        place.options = (*again, "--again", f"run_id in ({listed})")
        driver.finish()
        place.options = again
    return len(lost)


def compare(place: Callable[[str], Place], folder: Path, faults: int, seed: int) -> Report:
    """Runs the sweep alone, then disturbed.

    Args:
        place: Makes a place with a store of this name.
        folder: Gets the drivers' output.
        faults: How many.
        seed: Decides them.
    """
    began = time.monotonic()
    quiet = place("alone")
    Driver(quiet, folder / "alone.log").finish()
    alone_s = time.monotonic() - began
    noisy = place("disturbed")
    driver = Driver(noisy, folder / "disturbed.log")
    chaos = Chaos(noisy, driver, seed)
    began = time.monotonic()
    local = noisy.nodes is None
    chaos.run(faults, (0.3, 3.0) if local else (2.0, 8.0))
    driver.finish()
    retrained = mend(noisy, driver)
    seconds = time.monotonic() - began, alone_s
    found = outcome(noisy.direct), outcome(quiet.direct)
    return Report(chaos.done, driver.exits, retrained, seconds, *found)


@contextlib.contextmanager
def local_place(folder: Path, runs: int, steps: int) -> Any:
    """Places in a folder, without Ray."""
    spec = _spec(folder, runs, steps)
    yield lambda name: Place(spec, str(folder / name), str(folder / name), ("--inline",))


@contextlib.contextmanager
def cluster_place(folder: Path, runs: int, steps: int) -> Any:
    """Places in a bucket, with Ray nodes."""
    spec = _spec(folder, runs, steps)
    os.environ["RAY_AUTH_MODE"] = "disabled"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with bucket(folder) as found:
        nodes = Nodes(2)
        try:
            yield lambda name: Place(
                spec,
                found.store(name),
                found.direct(name),
                ("--address", nodes.address),
                found,
                nodes,
            )
        finally:
            nodes.stop()


def _spec(folder: Path, runs: int, steps: int) -> Path:
    path = folder / "chaos.yaml"
    seeds = max(1, runs // CONFIGURATIONS)
    path.write_text(SWEEP.format(seeds=seeds, steps=steps, checkpoint_s=CHECKPOINT_S, pack=PACK))
    return path


@click.command()
@click.option("--faults", default=30, show_default=True)
@click.option("--runs", default=300, show_default=True)
@click.option("--steps", default=2000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--local", is_flag=True, help="In a folder and without Ray.")
@click.option("--logs", type=click.Path(path_type=Path), help="Keep the drivers' output here.")
def main(faults: int, runs: int, steps: int, seed: int, local: bool, logs: Path | None) -> None:
    """Prints the figures; exit code 1 where the two stores differ."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        folder = Path(scratch)
        with (local_place if local else cluster_place)(folder, runs, steps) as place:
            report = compare(place, logs or folder, faults, seed)
    click.echo(report.text())
    sys.exit(1 if report.differences else 0)


if __name__ == "__main__":
    main()
