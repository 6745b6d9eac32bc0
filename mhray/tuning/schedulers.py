"""Early stopping: which running trials are not worth their remaining epochs.

The schedulers are Ray's. What is added is memory: after a resume the rungs hold what the journal
holds, or the first trials of the new start would be compared with nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from typing_extensions import override

from mhray.tuning.record import BASELINE, TrialRecord
from mhray.tuning.study import Study


@dataclass(frozen=True)
class PastTrial:
    """What a scheduler looks at in a trial."""

    trial_id: str
    config: dict[str, Any] = field(default_factory=dict)


class ASHA(ASHAScheduler):
    """Ray's ASHA, which knows past epochs and never stops trial 0: half a baseline is none."""

    def __init__(self, past: Sequence[TrialRecord], **options: Any) -> None:
        super().__init__(**options)
        self._past = {record.number: record for record in past}

    @override
    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        record = self._past.get(trial.config.get("number"))
        for row in record.epochs if record else ():
            result = {"epoch": row.epoch, "best": row.best}
            super().on_trial_result(tune_controller, trial, result)

    @override
    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        action: str = super().on_trial_result(tune_controller, trial, result)
        is_spared = trial.config.get("number") == BASELINE and result.get("epoch") != self._max_t
        return self.CONTINUE if is_spared else action


def scheduler_of(study: Study, max_epochs: int, past: Sequence[TrialRecord]) -> TrialScheduler:
    """The study's scheduler, knowing the epochs of trials that ended or are resumed."""
    if study.scheduler is None:
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    asha = study.scheduler.asha
    scheduler = ASHA(
        past,
        time_attr="epoch",
        metric="best",
        mode=study.select.mode,
        max_t=max_epochs,
        grace_period=asha.grace_epochs,
        reduction_factor=asha.keep_one_in,
    )
    for record in past:
        if record.state != "RUNNING":
            scheduler.on_trial_add(
                None, PastTrial(f"past-{record.number}", {"number": record.number})
            )
    return scheduler
