"""Trials of Tune with their packs: which are left to train, and what became of the others."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raysweep.engine.deaths import Deaths, classify, did_not_start
from raysweep.engine.hangs import HangWatch
from raysweep.engine.larger import LargerDevices
from raysweep.engine.work import SLICE_S
from raysweep.scheduling.batches import Batches
from raysweep.scheduling.division import keep_first
from raysweep.store import pack_sizes, sweep_paths
from raysweep.sweep.packs import Pack, rows_name_of

if TYPE_CHECKING:
    from raysweep.engine.nodes import Nodes
    from raysweep.scheduling.failures import Failure
    from raysweep.scheduling.scheduler import Schedule


class _Trial:
    """A trial.

    Args:
        packs: Packs that its worker has yet to end, in order; it trains the first.
    """

    def __init__(self, packs: Sequence[Pack]) -> None:
        self.packs = list(packs)
        self.is_batch = len(packs) > 1
        self.process: Mapping[str, Any] = {}

    @property
    def pack_id(self) -> str:
        """Identity of the pack that its worker trains, as far as is known."""
        return self.packs[0].pack_id


class Trials:
    """Trials of a session: gives them packs, and passes the outcomes to the schedule.

    Args:
        schedule: Schedule of the packs to train.
        watch: Function that is called with the progress of packs.
        hangs: Watch over the workers, to which their steps are reported.
        deaths: Error of the worker whose death Tune is handling.
        nodes: Nodes of the cluster, some of which may be left out.
    """

    def __init__(
        self,
        schedule: "Schedule",
        watch: Callable[[dict[str, Any]], None],
        hangs: HangWatch,
        deaths: Deaths,
        nodes: "Nodes",
    ) -> None:
        self.schedule, self.watch, self.hangs = schedule, watch, hangs
        self.deaths, self.nodes = deaths, nodes
        self.larger = LargerDevices(nodes)
        self.batches = Batches(
            schedule, nodes.workers, lambda pack: not self.larger.too_small(pack)
        )
        self._trials: dict[str, _Trial] = {}
        self._sizes = pack_sizes.read(schedule.store.files)

    def __len__(self) -> int:
        return len(self._trials)

    def begin(self, trial_id: str) -> dict[str, Any] | None:
        """Return the configuration of a trial that is about its packs; None if there is no pack."""
        packs = self.batches.next()
        if not packs:
            return None
        left_out = sorted({*self.nodes.left_out, *self.larger.too_small(packs[0])})
        # As one text, since Tune walks through nested values again and again.
        text = f"[{','.join(pack.to_text() for pack in packs)}]"
        told = {"packs": text, "sizes": json.dumps(self._sizes), "left_out": left_out}
        self._trials[trial_id] = _Trial(packs)  # after all that may raise: there is a trial now
        self._note_files()
        return told

    def remind(self) -> None:
        """Say once which runs wait for a larger node that is no longer there."""
        self.larger.remind(self.schedule.in_flight.values(), self.hangs)

    def report(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Note what a worker reports while it trains."""
        trial = self._trials[trial_id]
        if process := _nested(result, "process"):
            self.nodes.began(process["node"])
            trial.packs[0] = keep_first(self.schedule, trial.pack_id, result["fits"])
            trial.process = process
        before = trial.pack_id
        if measured := _nested(result, "measured"):
            self._sizes[measured.pop("key")] = measured
            pack_sizes.write(self.schedule.store.files, self._sizes)
        if not process and (fits := result.get("fits")):
            self.hangs.left(before)
            trial.packs[0] = keep_first(self.schedule, before, fits, afresh=True)
        self._advance(trial, result)
        if process or trial.pack_id != before:
            slack_s = SLICE_S if trial.is_batch else 0.0
            self.hangs.began(trial.pack_id, trial.process, slack_s)
            self.watch({"pack_id": trial.pack_id, "began": True})
        if progress := _nested(result, "progress"):
            self.hangs.stepped(progress["pack_id"], progress["step"])
            self.watch(progress)

    def _advance(self, trial: _Trial, result: Mapping[str, Any]) -> None:
        """Note the packs that ended, and queue those again that the worker leaves to others."""
        if took := result.get("took", ()):
            ended = trial.packs[: len(took)]
            rows = self._rows_of(trial)
            trial.packs = trial.packs[len(took) :]
            self.batches.ended(ended, took)
            for pack in ended:
                self.hangs.left(pack.pack_id)
                self.schedule.pack_ended(pack.pack_id, rows[pack.pack_id])
        kept = result.get("kept", len(trial.packs))
        left, trial.packs = trial.packs[kept:], trial.packs[:kept]
        self.batches.put_back(left)
        self._note_files()

    def _note_files(self) -> None:
        """Note the files of rows that workers write next."""
        self.schedule.files_to_come = {
            sweep_paths.rows(rows_name_of(trial.packs))
            for trial in self._trials.values()
            if len(trial.packs) > 1
        }

    def _rows_of(self, trial: _Trial) -> dict[str, list[dict[str, Any]]]:
        """Return the rows that the worker has written last, by pack.

        Raises:
            StoreError: If their file cannot be read, or does not exist.
        """
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in self.schedule.store.written_runs(rows_name_of(trial.packs)):
            rows.setdefault(row["pack_id"], []).append(row)
        return rows

    def end(self, trial_id: str, result: Mapping[str, Any], *, has_died: bool) -> None:
        """Pass the outcome of a trial to the schedule.

        Args:
            trial_id: Id of the trial.
            result: The worker's last result.
            has_died: Whether the worker died.
        """
        trial = self._trials.pop(trial_id, None)
        if trial is None or not trial.packs:
            return
        pack_id = trial.pack_id
        pid, node, hung = *self.hangs.process(pack_id), self.hangs.left(pack_id)
        if has_died:
            self._died(trial, pid, node, hung=hung)
        elif "failure" in result:
            self._advance(trial, result)
            self.batches.put_back(trial.packs[1:])
            self._failed(trial.pack_id, result, node)
        elif result.get("done") and not self.schedule.stopping:
            self._advance(trial, result)
        else:
            for pack in trial.packs:
                self.schedule.pack_stopped(pack.pack_id)

    def _died(self, trial: _Trial, pid: int | None, node: str | None, *, hung: bool) -> None:
        """Pass the death of a worker to the schedule.

        Of several packs, it is not known which one is the cause, so each is tried alone.
        """
        kind, text = classify(self.deaths.error, pid)
        if did_not_start(self.deaths.error) and self.nodes.refused(
            self.deaths.node, "worker", text
        ):
            kind = "lost"
        if trial.is_batch:
            self._note_written(trial)
        if len(trial.packs) > 1:
            self.batches.put_back(trial.packs, alone=True)
        elif hung:
            text = f"no step for {self.hangs.patience_s:g} s (resources.patience_s); worker killed"
            self.schedule.pack_failed(trial.pack_id, "hung", text)
        elif trial.packs:
            self._pass_on(trial.pack_id, kind, text, node)

    def _note_written(self, trial: _Trial) -> None:
        """Note the packs whose rows a worker had written before it died, unreported."""
        name = sweep_paths.rows(rows_name_of(trial.packs))
        if not self.schedule.store.files.exists(name):
            return
        rows = self._rows_of(trial)
        ended = [pack for pack in trial.packs if pack.pack_id in rows]
        trial.packs = [pack for pack in trial.packs if pack.pack_id not in rows]
        for pack in ended:
            self.schedule.pack_ended(pack.pack_id, rows[pack.pack_id])

    def _failed(self, pack_id: str, result: Mapping[str, Any], node: str | None) -> None:
        """Pass a failure that a worker reported to the schedule, unless its node is to blame."""
        kind, text = result["failure"], result["error"]
        node = node or _nested(result, "process").get("node")
        if "blamed" in result and self.nodes.refused(node, result["blamed"], text):
            self.schedule.pack_failed(pack_id, "lost", text)
            return
        if kind in ("setup", "store") and (name := self.nodes.name(node)):
            text = f"{name}: {text}"
        self._pass_on(pack_id, kind, text, node, _nested(result, "about"))

    def _pass_on(
        self,
        pack_id: str,
        kind: "Failure",
        text: str,
        node: str | None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Pass a failure to the schedule; a run that needs a larger device has not failed yet."""
        if kind == "memory" and self.larger.note(self.schedule.in_flight[pack_id], node):
            kind = "lost"
        self.schedule.pack_failed(pack_id, kind, text, about)


def _nested(result: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a mapping that a trial reported, from the flattened results that Tune passes on."""
    prefix = f"{name}/"
    return {
        key.removeprefix(prefix): value for key, value in result.items() if key.startswith(prefix)
    }
