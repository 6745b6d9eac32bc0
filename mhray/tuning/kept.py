"""Which trials keep their checkpoints: as trials end, those of all but the best are deleted.

The journal says so first. A trial without checkpoints still has its overrides and its seed, so that
the line which reproduces it trains it again.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from typing_extensions import override

from mhray.errors import StorageError
from mhray.tuning.journal import Journal
from mhray.tuning.places import files_of
from mhray.tuning.record import BASELINE, TrialRecord
from mhray.tuning.report import front_of
from mhray.tuning.search import Observer
from mhray.tuning.study import Study


class KeptCheckpoints(Observer):
    """Deletes checkpoints that nobody needs any more, each time a trial ends.

    A trial that runs or stands keeps its own. Who is behind so many ended trials stays behind them,
    whatever comes, so what is deleted is never missed.
    """

    def __init__(
        self, study: Study, journal: Journal, trial_directory: Callable[[int], Path]
    ) -> None:
        self._study = study
        self._journal = journal
        self._directory = trial_directory
        self._held = [record for record in journal.ended() if record.checkpoint]

    def trial_started(self, record: TrialRecord) -> None:
        """It may need all of its own."""

    @override
    def epoch_ended(self, number: int, row: object) -> None:
        pass

    @override
    def trial_ended(self, record: TrialRecord) -> None:
        if record.checkpoint:
            self._held.append(record)
        self.delete_superfluous()

    def delete_superfluous(self) -> None:
        """Delete what is too much, also if ``keep_checkpoints`` is smaller than it was."""
        for record in superfluous(self._study, self._held):
            self._journal.forget_checkpoint(record.number)
            self._held.remove(record)
            self._delete(record.number)

    def delete_left_over(self) -> None:
        """Delete what a kill left, or a worker wrote when its trial had ended already."""
        for record in self._journal.ended():
            if not record.checkpoint:
                self._delete(record.number)

    def _delete(self, number: int) -> None:
        files_of(self._study).drop_checkpoints(number)
        delete_checkpoints(self._directory(number))


def superfluous(study: Study, ended: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those of the ended trials whose checkpoints nobody needs.

    Kept are the best by ``select``, complete ones before those that were stopped; trial 0, which
    the best is compared with; of several objectives, the Pareto front. Any trial of a grid may
    become its row's best, and trials of a population end together: these keep all.
    """
    if study.keeps_all_checkpoints:
        return []
    selection = study.selection
    sign = 1 if selection.mode == "max" else -1

    def rank(record: TrialRecord) -> tuple[bool, float, int]:
        value = record.best_epoch(selection).metrics[selection.metric]
        return record.state == "COMPLETE", sign * value, -record.number

    best = sorted(ended, key=rank, reverse=True)[: study.keep_checkpoints]
    front = front_of(ended, study) if len(study.objectives) > 1 else []
    kept = {BASELINE, *(record.number for record in (*best, *front))}
    return [record for record in ended if record.number not in kept]


def delete_checkpoints(directory: Path) -> None:
    """Delete a trial's checkpoints; its config and its result stay.

    Raises:
        StorageError: one of them cannot be deleted.
    """
    try:
        for path in directory.glob("*.ckpt*"):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"keep_checkpoints: {directory} cannot be cleared ({error.strerror}); make it "
            "writable, or write keep_checkpoints=null"
        ) from None
