"""What the journal holds of one trial, for everyone who reads it."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mhray.training.changes import Change
from mhray.training.epoch_row import EpochRow
from mhray.training.selection import Selection

State: TypeAlias = Literal["COMPLETE", "PRUNED", "FAIL", "RUNNING"]

BASELINE = 0  # the number of the trial that the others are compared with


@dataclass(frozen=True)
class Takeover:
    """A trial of a population goes on from another one's checkpoint.

    Attributes:
        trial: who takes over.
        parent: from whom.
        epoch: at which both stand.
        overrides: of the run that the trial is from now on, its changes included.
        changes: what changes in that run.
    """

    trial: int
    parent: int
    epoch: int
    overrides: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class TrialRecord:
    """What the journal holds of one trial.

    Attributes:
        number: counted from 0; trial 0 is the equal-weights baseline.
        overrides: of the run that its checkpoint comes from; what it drew, until it takes over.
        params: what Optuna drew, by its own names.
        epochs: a row per epoch of that run.
        starts: how often it was started.
        failure: why it failed, or empty.
        test: the ``test/`` metrics, if it was ever shown to the test split.
        drawn: the overrides that it began with, if it took over; else empty.
        takeovers: from whom it took over; empty outside population-based training.
        began: seconds since 1970.
        ended: seconds since 1970; 0 before its end.
        candidate: what a run of a confirmation stands for; empty for a trial.
    """

    number: int
    state: State
    overrides: tuple[str, ...]
    seed: int
    params: dict[str, Any]
    epochs: tuple[EpochRow, ...]
    checkpoint: str
    mlflow_run_id: str
    starts: int
    failure: str
    test: dict[str, float]
    drawn: tuple[str, ...] = ()
    takeovers: tuple[Takeover, ...] = ()
    began: float = 0.0
    ended: float = 0.0
    candidate: str = ""

    @property
    def seconds(self) -> float:
        """Wall-clock seconds over all epochs."""
        return sum(row.seconds for row in self.epochs)

    @property
    def rung(self) -> int:
        """The epoch at which it was stopped or complete; 0 for a trial that is neither."""
        has_one = self.epochs and self.state in {"COMPLETE", "PRUNED"}
        return self.epochs[-1].epoch if has_one else 0

    def best_epoch(self, selection: Selection) -> EpochRow:
        """The row of the epoch with the best selected metric; the earliest of equals.

        Raises:
            IndexError: the trial has finished no epoch.
        """
        best = self.epochs[0]
        for row in self.epochs[1:]:
            if selection.prefers(row.metrics[selection.metric], best.metrics[selection.metric]):
                best = row
        return best
