"""Training of one pack: curves, checkpoints, divergence, and the rows of its runs."""

import collections
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raysweep import registry
from raysweep.engine.curves import CurveWriter, Means
from raysweep.engine.job import Job
from raysweep.engine.machine import device_of, machine
from raysweep.engine.outcomes import Outcome, write_outcomes
from raysweep.engine.replicas import assemble, with_present_settings
from raysweep.engine.worker_store import WorkerStore
from raysweep.errors import SpecError, StoreError, is_memory_error
from raysweep.store.checkpoints import Checkpoints, Manifest, Pace
from raysweep.store.pauses import Pauses
from raysweep.store.rows import run_row, timed, utc_now
from raysweep.sweep.early_stopping import EarlyStopper
from raysweep.sweep.options import EarlyStopping
from raysweep.sweep.packs import Pack, PlannedRun
from raysweep.tasks.base import Closeable, DecidesOnSteps
from raysweep.tasks.contract import RestoreError, check_metrics, check_step
from raysweep.tasks.pauses import Evaluation

PROGRESS_S = 1.0
CHECKPOINT_SHARE = 20  # checkpoints take at most a twentieth of the time
CUDA_STEPS = 10  # steps between two readings of the clock on a GPU, on a fixed grid


class CannotRestore(Exception):
    """The checkpoint of a pack cannot be loaded."""


class PackLoop:
    """Training loop of a pack, which resumes from its checkpoint if it has one.

    Only settings decide at which steps results are computed: multiples of `report_every`, the
    start of the window, the last step. The clock decides only when to checkpoint and when to
    return, so that neither kills nor the other runs of a pack change the results.

    Args:
        pack: The pack to train.
        job: Store, devices and settings of the training.
        early_stopper: Early stopping at rungs; None if no run is stopped early.
        store: The sweep's folder.
        in_batch: Whether the caller writes the rows, with those of other packs, and a manifest is
            written only if training takes longer than one call of `run_for`.
    """

    def __init__(
        self,
        pack: Pack,
        job: Job,
        early_stopper: EarlyStopper | None,
        store: WorkerStore,
        *,
        in_batch: bool = False,
    ) -> None:
        self.pack, self.job, self.early_stopper = pack, job, early_stopper
        self.stopping = EarlyStopping(**job.stopping) if job.stopping and early_stopper else None
        self.store, self.in_batch = store, in_batch
        self.checkpoints = Checkpoints(store.files, pack.pack_id)
        self.device, self.device_name = device_of(job.gpu)
        self.ended: list[dict[str, Any]] = []
        self.last_report: dict[str, Any] = {}
        self.steps = 0  # until the task has started
        self.executed = max((run.executed for run in pack.runs), default=0)
        self.seconds = 0.0
        self.step_s = collections.deque[float](maxlen=50)  # of the last calls of the training
        self.started_at = utc_now()
        self.checkpoint_cost = 0.0
        self.curves = CurveWriter(store.files, pack.pack_id, store.curve_columns)
        self.unwritten: Manifest | None = None  # of a pack whose begin is not in the store
        self.outcome: Outcome | None = None  # of a pack that has ended
        self.closeable: Closeable | None = None
        self.evaluation: Evaluation | None = None  # of the ended training
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        manifest = self.checkpoints.manifest()
        wanted = {run.run_id: run for run in self.pack.runs}
        self.active = self._first_runs(manifest)
        loaded = len(self.active)
        if manifest is not None:
            self.ended = [dict(row) for row in manifest.ended if row["run_id"] in wanted]
            self.executed = max(self.executed, self.checkpoints.executed())
            if manifest.step > 0:
                self.seconds, self.started_at = manifest.seconds, manifest.started_at
        self._noted = time.monotonic()
        self.pauses = Pauses(self._noted)
        self.is_new = manifest is None or manifest.step == 0
        begins = manifest is not None or not self.in_batch
        if begins:
            self._note()  # before the task starts, which may hang
        settings, replicas, estimator = assemble(self.pack, self.active, self.device)
        self.task = registry.task(self.pack.task)
        self.training = self.task.start(settings, replicas, estimator, self.device)
        self.closeable = self.training if isinstance(self.training, Closeable) else None
        self.curve, self.final, self.latest = Means(), Means(), dict[str, Tensor]()
        if manifest is not None and manifest.step > 0:
            self._restore(manifest)
        self._measure(settings)
        if manifest is not None or any(run.failures for run in self.pack.runs):
            self.curves.resume(self.training.step, set(wanted))
        self.unwritten = self._manifest()
        if begins:
            self._write_begin(self._state() if len(self.active) < loaded else None)
        self._saved = time.monotonic()
        self.pauses = Pauses(self._saved)
        if begins:
            self._note()

    def _write_begin(self, state: Mapping[str, Any] | None = None) -> None:
        """Write the manifest of the pack's begin, unless it is written."""
        if self.unwritten is not None:
            self.checkpoints.write(self.unwritten, state)
            self.unwritten = None

    def _measure(self, settings: Any) -> None:
        """Set the steps at which results are computed.

        Raises:
            CannotRestore: If the saved state does not fit, as only the call of a function shows.
        """
        training = self.training
        self.length = training.length if isinstance(training, DecidesOnSteps) else None
        try:
            self.steps = self.length() if self.length else settings.steps
        except RestoreError as error:
            raise CannotRestore(str(error)) from error
        self.grid = CUDA_STEPS if self.device.type == "cuda" and not self.length else 1
        self.report_every = settings.report_every
        self.window_start = self.steps - self.training.window
        self.rungs = self.stopping.rungs(self.steps, self.report_every) if self.stopping else ()

    def _first_runs(self, manifest: Manifest | None) -> list[PlannedRun]:
        """Return the runs to start with: those of the saved state, or else the pack's."""
        if manifest is not None and manifest.step > 0:
            return [with_present_settings(self.pack, run) for run in manifest.runs_of_state]
        wanted = {run.run_id: run for run in self.pack.runs}
        run_ids = manifest.active if manifest else wanted
        return [wanted[run_id] for run_id in run_ids if run_id in wanted]

    def _restore(self, manifest: Manifest) -> None:
        """Load the saved state, then drop the runs that are no longer in the pack.

        Raises:
            CannotRestore: If the state cannot be loaded, for which no run is to blame.
        """
        wanted = {run.run_id: run for run in self.pack.runs if run.run_id in manifest.active}
        try:
            state = self.checkpoints.state(manifest, self.device)
            self.training.load_state_dict(state["training"])
            self.curve.load_state_dict(state["curve"])
            self.final.load_state_dict(state["final"])
            self.latest = dict(state.get("latest", {}))
            keep = [run.run_id in wanted for run in self.active]
            if not all(keep):
                self._select(torch.tensor(keep, device=self.device))
        except StoreError:
            raise
        except Exception as error:
            if is_memory_error(error) or "CUDA error" in str(error):
                raise  # a fault of the machine: the checkpoint is good
            raise CannotRestore(f"{type(error).__name__}: {error}") from error
        self.active = [wanted[run.run_id] for run in self.active if run.run_id in wanted]

    @property
    def progress(self) -> dict[str, Any]:
        """Progress of the pack: its step, and the mean of its first metric at the last report."""
        reached = {"step": self.training.step, "steps": self.steps}
        return {"pack_id": self.pack.pack_id, **reached, **self.last_report}

    def run_for(self, seconds: float) -> bool:
        """Train, and evaluate, for about that long; return whether the pack's rows are written.

        Raises:
            DriverGone: If the driver was replaced or has been silent for too long.
        """
        self.store.watch.poll()
        began = last = time.monotonic()
        while self.active and self.training.step < self.steps:
            step = self.training.step
            self._advance()
            now = time.monotonic()
            steps = max(1, self.training.step - step)
            self.step_s.append((now - last) / steps)
            self.seconds += (now - last) / max(1, len(self.active))
            last = now
            if now - began >= seconds:
                break
        is_trained = not self.active or self.training.step >= self.steps
        if is_trained and self._end(began + seconds):
            return True
        self._write_begin()
        now = time.monotonic()
        if now - self._saved >= max(self.job.checkpoint_s, CHECKPOINT_SHARE * self.checkpoint_cost):
            self.checkpoint()
        if now - self._noted >= PROGRESS_S:
            self._note()
        return False

    def _note(self) -> None:
        """Write the pack's progress, for the next attempt and for `raysweep status`."""
        self._noted = time.monotonic()
        stepped_at = time.time() - (self._noted - self.pauses.since)
        reached = self.progress if self.steps else {}
        known = {key: value for key, value in reached.items() if key != "pack_id"}
        pace = Pace(self.job.token, stepped_at, self.pauses.longest_s, **known)
        self.checkpoints.write_progress(self.executed, pace)

    def _advance(self) -> None:
        step = self.training.step
        ahead = [self.steps, (step // self.report_every + 1) * self.report_every]
        if step < self.window_start:
            ahead.append(self.window_start)
        count = min(min(ahead) - step, self.grid - step % self.grid)
        metrics = self.training.advance(count)
        if self.length:
            self.steps = self.length()  # fewer where training ends early
        check_step(step, count, self.training.step)
        check_metrics(metrics, self.task.metrics, len(self.active), "advance")
        self.executed += count
        self.pauses.note(self.training.step, time.monotonic())
        self.curve.add(metrics, count)
        if step >= self.window_start:
            self.final.add(metrics, count)
        if self.training.step % self.report_every == 0 or self.training.step == self.steps:
            self._report()

    def _report(self) -> None:
        """Add a row to each run's curve where there is something to report; stop runs early."""
        means = self.curve.take()
        if means:
            means = self._add_row(means)
        self.latest = {**self.latest, **means}
        at_rung = self.training.step in self.rungs or self.training.step == self.steps
        if at_rung or not self.active:  # other packs may train seeds of what diverged here
            self._stop_early(self.latest)

    def _add_row(self, means: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add a row to each run's curve, end runs that diverged, and return means of the others."""
        finite = torch.stack([torch.isfinite(mean) for mean in means.values()]).all(dim=0)
        keep = finite.tolist()
        self.curves.add(
            [run.run_id for run in self.active],
            self.training.step,
            self.seconds,
            {name: mean.tolist() for name, mean in means.items()},
        )
        if not all(keep):
            for run, is_finite in zip(self.active, keep, strict=True):
                if not is_finite:
                    self.ended.append(self._row(run, "diverged", {}))
            self._select(finite)
            means = {name: mean[finite] for name, mean in means.items()}
        if self.active:
            name, mean = next(iter(means.items()))
            self.last_report = {"metric": name, "value": mean.double().mean().item()}
        return means

    def _stop_early(self, means: Mapping[str, Tensor]) -> None:
        """End the runs of configurations that early stopping ends, with all their seeds."""
        if self.early_stopper is None or self.stopping is None:
            return
        metric = self.stopping.metric
        if self.active and metric not in means:
            others = f"; set early_stopping: {{metric: {next(iter(means))}}}" if means else ""
            raise SpecError(
                f"early_stopping: training reports no metric {metric!r} up to step "
                f"{self.training.step}{others}"
            )
        diverged = [row["run_id"] for row in self.ended if row["status"] == "diverged"]
        values: dict[str, float | None] = dict.fromkeys(diverged)
        if self.active:
            ids = [run.run_id for run in self.active]
            values.update(zip(ids, means[metric].tolist(), strict=True))
        last = self.training.step == self.steps
        stopped = set(self.early_stopper.ask(self.training.step, values, last))
        if not stopped or last:
            return
        columns = {name: mean.tolist() for name, mean in means.items()}
        for index, run in enumerate(self.active):
            if run.run_id in stopped:
                metrics = {name: column[index] for name, column in columns.items()}
                self.ended.append(self._row(run, "stopped", metrics))
        keep = [run.run_id not in stopped for run in self.active]
        self._select(torch.tensor(keep, device=self.device))

    def _select(self, keep: Tensor) -> None:
        flags = keep.tolist()
        self.active = [run for run, kept in zip(self.active, flags, strict=True) if kept]
        if self.active:
            self.training.select(keep)
            self.curve.select(keep)
            self.final.select(keep)
            self.latest = {name: mean[keep] for name, mean in self.latest.items()}

    def _evaluated(self, until: float) -> Mapping[str, Tensor] | None:
        """Return the final metrics; None if their evaluation pauses at that time."""
        if self.task.is_function:  # whose code has a thread of its own, in which nothing pauses
            return self._evaluate()
        self.evaluation = self.evaluation or Evaluation(self._evaluate)
        return self.evaluation.continued(until)

    def _evaluate(self) -> Mapping[str, Tensor]:
        torch.set_flush_denormal(True)  # of this thread, as of that which trains
        return self.training.evaluate()

    def _end(self, until: float) -> bool:
        """Write the rows of all runs; return False if their evaluation needs more time.

        Args:
            until: Time of `time.monotonic` from which the evaluation pauses.
        """
        if self.active:
            if (evaluated := self._evaluated(until)) is None:
                return False
            check_metrics(evaluated, self.task.metrics, len(self.active), "evaluate")
            columns = {
                name: values.tolist() for name, values in {**self.final.take(), **evaluated}.items()
            }
            for index, run in enumerate(self.active):
                metrics = {name: column[index] for name, column in columns.items()}
                diverged = not all(value - value == 0 for value in metrics.values())
                self.ended.append(
                    self._row(run, "diverged" if diverged else "done", {} if diverged else metrics)
                )
        order = {run.run_id: index for index, run in enumerate(self.pack.runs)}
        rows = [timed(row) for row in sorted(self.ended, key=lambda row: order[row["run_id"]])]
        self.outcome = Outcome(rows, self.curves, self.checkpoints, self.unwritten)
        if not self.in_batch:
            write_outcomes(self.store, self.pack.rows_name, [self.outcome])
        return True

    def checkpoint(self) -> None:
        """Save the pack's state, from which another driver can resume, if training has one."""
        began = time.monotonic()
        state = self._state()
        if state["training"] is not None:
            self.store.files.patiently(self.store.watch.check)
            self.curves.flush()
            self.checkpoints.write(self._manifest(), state)
            self.unwritten = None
        self._saved = time.monotonic()
        self.checkpoint_cost = self._saved - began

    def close(self) -> None:
        """Release what the training holds, where it holds something."""
        if self.evaluation is not None:
            self.evaluation.close()
        if self.closeable is not None:
            self.closeable.close()

    def _manifest(self) -> Manifest:
        return Manifest(
            self.pack,
            self.training.step,
            tuple(run.run_id for run in self.active),
            tuple(self.ended),
            self.executed,
            self.seconds,
            self.started_at,
            {**machine(), "device": self.device_name},
        )

    def _state(self) -> dict[str, Any]:
        return {
            "training": self.training.state_dict(),
            "curve": self.curve.state_dict(),
            "final": self.final.state_dict(),
            "latest": dict(self.latest),
        }

    def _row(self, run: PlannedRun, status: str, metrics: Mapping[str, float]) -> dict[str, Any]:
        return run_row(
            self.job.sweep,
            self.pack,
            run,
            self.store.run_columns,
            metrics,
            status=status,
            steps=self.training.step,
            steps_executed=self.executed,
            seconds=self.seconds,
            device=self.device_name,
            started_at=self.started_at,
            ended_at=utc_now(),
            **{**self.job.origin, **machine()},
        )
