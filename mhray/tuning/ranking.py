"""Which trials of a study may be compared, and in which order they stand."""

from collections.abc import Sequence

from mhray.training.selection import Selection
from mhray.tuning.record import TrialRecord


def ranked(records: Sequence[TrialRecord], selection: Selection) -> list[TrialRecord]:
    """The complete trials, the best selected metric first, the earliest of equals before others."""
    sign = 1 if selection.mode == "max" else -1
    return sorted(complete(records), key=lambda record: -sign * value_of(record, selection))


def complete(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials, but for those that predict fewer heads than others.

    Of those the metrics of the same name are others.
    """
    found = [record for record in records if record.state == "COMPLETE"]
    most = max(map(heads_of, found), default=0)
    return [record for record in found if heads_of(record) == most]


def heads_of(record: TrialRecord) -> int:
    """How many heads a trial predicts."""
    metrics = record.epochs[-1].metrics
    return sum(name.startswith("val/") and name.endswith("_loss") for name in metrics)


def value_of(record: TrialRecord, selection: Selection) -> float:
    """The selected metric of a trial's best epoch."""
    return record.best_epoch(selection).metrics[selection.metric]
