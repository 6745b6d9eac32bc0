"""How a sweep stands: how many trials ended how, which run, and the best so far of each head."""

from collections.abc import Iterable, Mapping

from mhray.training.epoch_row import EpochRow
from mhray.training.selection import Selection, sensible_mode
from mhray.tuning.record import TrialRecord


class Standings:
    """Counts trials and keeps the best.

    Args:
        selection: what ranks trials.
        shown: the metrics that are shown of an epoch, without their split, and a word for each.
        budget: trials that there may be; a candidate that leads late brings more.
        past: the trials that earlier starts ended.

    Attributes:
        running: the last row of each running trial.
        counts: the trials that ended, by their state.
        best: the complete trial that is the best by the selection, and its value.
        best_of: by shown metric, the trial that is the best in it, in whatever epoch, and its
            value; trials that run or were stopped count as well.
    """

    def __init__(
        self,
        selection: Selection,
        shown: Mapping[str, str],
        budget: int,
        past: Iterable[TrialRecord],
    ) -> None:
        self.selection = selection
        self.shown = shown
        self._budget = budget
        self.running: dict[int, EpochRow | None] = {}
        self.counts = {"COMPLETE": 0, "PRUNED": 0, "FAIL": 0}
        self.best: tuple[int, float] | None = None
        self.best_of: dict[str, tuple[int, float]] = {}
        for record in past:
            self.ended(record)

    @property
    def total(self) -> int:
        """Trials of the budget, or all that there are if those are more."""
        return max(self._budget, sum(self.counts.values()) + len(self.running))

    def started(self, record: TrialRecord) -> None:
        """A trial was handed to a worker."""
        self.running[record.number] = record.epochs[-1] if record.epochs else None
        self._note_heads(record.number, record.epochs)

    def finished_epoch(self, number: int, row: EpochRow) -> None:
        """A trial has finished an epoch."""
        self.running[number] = row
        self._note_heads(number, [row])

    def ended(self, record: TrialRecord) -> None:
        """A trial is finished for good."""
        self.running.pop(record.number, None)
        self.counts[record.state] += 1
        self._note_heads(record.number, record.epochs)
        if record.state != "COMPLETE":
            return
        row = record.best_epoch(self.selection)
        if not all(f"val/{name}" in row.metrics for name in self.shown):
            return  # over fewer heads it is another measure
        value = row.metrics[self.selection.metric]
        if self.best is None or self.selection.prefers(value, self.best[1]):
            self.best = (record.number, value)

    def _note_heads(self, number: int, rows: Iterable[EpochRow]) -> None:
        for row in rows:
            for name in self.shown:
                metric = f"val/{name}"
                if metric in row.metrics and self._leads(name, row.metrics[metric]):
                    self.best_of[name] = (number, row.metrics[metric])

    def _leads(self, name: str, value: float) -> bool:
        if name not in self.best_of:
            return True
        mode = sensible_mode(f"val/{name}") or self.selection.mode
        return Selection(name, mode).prefers(value, self.best_of[name][1])
