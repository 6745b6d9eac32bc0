"""A study's hours and GPU hours as hard limits, and which trials still fit into them.

Trials that run when a limit is reached are stopped, and stand at their last checkpoint. One that
would be stopped before its first rung could be compared with none, so it is not started: it waits
in the journal as it was drawn, and a start with a larger budget runs it first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from statistics import median

from mhray.tuning.record import TrialRecord
from mhray.tuning.rungs import rungs_of
from mhray.tuning.scheduler_kinds import PbtScheduler
from mhray.tuning.space import walk
from mhray.tuning.spent import Spent
from mhray.tuning.study import Study


class Limits:
    """What is left of a study's budget of time.

    Args:
        study: whose budget and rungs these are.
        max_epochs: the epoch at which a trial is complete.
        spent: of the study's journal.
        records: the trials of the journal as they are now.
        recorded: seconds of an epoch by network, from sweeps before this study.

    Attributes:
        turned_away: the trials that did not fit any more.
    """

    def __init__(
        self,
        study: Study,
        max_epochs: int,
        spent: Spent,
        records: Callable[[], Sequence[TrialRecord]],
        recorded: Mapping[frozenset[str], float],
    ) -> None:
        self._study = study
        self._max_epochs = max_epochs
        self._spent = spent
        self._records = records
        self._recorded = recorded
        self._has_begun = False
        self.turned_away: list[int] = []

    def hold(self, trials: int) -> None:
        """From now on so many trials hold their GPUs."""
        self._spent.hold(trials * self._study.resources.gpus_per_trial)

    def used_up(self) -> str:
        """The limit that is reached, as a key of the study; empty if none is."""
        if self._hours_left() <= 0:
            return "budget.hours"
        return "budget.gpu_hours" if self._gpu_hours_left() <= 0 else ""

    def came_too_short(self) -> str:
        """The limit that is reached, or that a trial did not fit into; empty if there is none."""
        reached = self.used_up()
        if reached or not self.turned_away:
            return reached
        hours_are_less = self._hours_left() <= self._gpu_hours_left()
        return "budget.hours" if hours_are_less else "budget.gpu_hours"

    def leaves_nothing(self, orphans: Sequence[TrialRecord]) -> bool:
        """Whether a start would run no trial: those that stand come first, and none has room."""
        if self.used_up():
            return True
        return bool(orphans) and not any(self.has_room(orphan, 0) for orphan in orphans)

    def has_room(self, record: TrialRecord, beside: int) -> bool:
        """Whether a trial can reach its first rung in time, ``beside`` others that run.

        A population starts whole, since its trials wait for each other. Where nothing is known of a
        trial's speed, it has room.
        """
        if self._has_begun and isinstance(self._study.scheduler, PbtScheduler):
            return True
        left = self._seconds_left(beside)
        fits = left == inf or self._seconds_to_first_rung(record) <= left
        if fits:
            self._has_begun = True
        else:
            self.turned_away.append(record.number)
        return fits

    def _seconds_to_first_rung(self, record: TrialRecord) -> float:
        reached = record.epochs[-1].epoch if record.epochs else 0
        first = rungs_of(self._study.scheduler, record.number, self._max_epochs)[0]
        return max(0, first - reached) * self._seconds_per_epoch(record)

    def _seconds_per_epoch(self, record: TrialRecord) -> float:
        network = options_of(self._study, record.overrides)
        seen = [
            row.seconds
            for other in self._records()
            if options_of(self._study, other.overrides) == network
            for row in other.epochs
        ]
        return median(seen) if seen else self._recorded.get(network, 0.0)

    def _seconds_left(self, beside: int) -> float:
        gpus = self._study.resources.gpus_per_trial * (beside + 1)
        return 3600 * min(self._hours_left(), self._gpu_hours_left() / gpus if gpus else inf)

    def _hours_left(self) -> float:
        hours = self._study.budget.hours
        return inf if hours is None else hours - self._spent.seconds / 3600

    def _gpu_hours_left(self) -> float:
        hours = self._study.budget.gpu_hours
        return inf if hours is None else hours - self._spent.gpu_seconds / 3600


def options_of(study: Study, overrides: Iterable[str]) -> frozenset[str]:
    """What tells a trial's network from others of its study: the options that it drew."""
    paths = {entry.path for entry in walk(study.search) if entry.distribution.options()}
    return frozenset(text for text in overrides if text.partition("=")[0] in paths)
