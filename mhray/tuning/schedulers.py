"""Early stopping: which running trials are not worth their remaining epochs.

The schedulers are Ray's. What is added is memory: after a resume the rungs hold what the journal
holds, or the first trials of the new start would be compared with nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from typing_extensions import override

from mhray.tuning.journal import BASELINE, TrialRecord
from mhray.tuning.study import Study


@dataclass(frozen=True)
class PastTrial:
    """What a scheduler looks at in a trial."""

    trial_id: str
    config: dict[str, Any] = field(default_factory=dict)


class ASHA(ASHAScheduler):
    """Ray's ASHA, which never stops trial 0: half a baseline is no baseline."""

    @override
    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        action: str = super().on_trial_result(tune_controller, trial, result)
        is_spared = trial.config.get("number") == BASELINE and result.get("epoch") != self._max_t
        return self.CONTINUE if is_spared else action


def scheduler_of(study: Study, max_epochs: int, past: Iterable[TrialRecord]) -> TrialScheduler:
    """The study's scheduler, knowing the epochs of past trials."""
    if study.scheduler is None:
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    asha = study.scheduler.asha
    scheduler = ASHA(
        time_attr="epoch",
        metric="best",
        mode=study.select.mode,
        max_t=max_epochs,
        grace_period=asha.grace_epochs,
        reduction_factor=asha.keep_one_in,
    )
    for record in past:
        _replay(scheduler, record)
    return scheduler


def _replay(scheduler: ASHAScheduler, record: TrialRecord) -> None:
    trial: Any = PastTrial(f"past-{record.number}")
    nobody: Any = None
    scheduler.on_trial_add(nobody, trial)
    for row in record.epochs:
        scheduler.on_trial_result(nobody, trial, {"epoch": row.epoch, "best": row.best})
