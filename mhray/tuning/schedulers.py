"""Early stopping: which running trials are not worth their remaining epochs.

The schedulers are Ray's. What is added is memory: after a resume the rungs hold what the journal
holds, or the first trials of the new start would be compared with nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
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


class WithinOptions(FIFOScheduler):
    """One ASHA for the trials of each option of a path: a bracket of its own for each of them."""

    def __init__(self, path: str, past: Sequence[TrialRecord], **options: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._start = f"{path}="
        self._by_option: dict[str, ASHA] = defaultdict(partial(ASHA, past, **options))

    @override
    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._of(trial).on_trial_add(tune_controller, trial)

    @override
    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return self._of(trial).on_trial_result(tune_controller, trial, result)

    @override
    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._of(trial).on_trial_complete(tune_controller, trial, result)

    @override
    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._of(trial).on_trial_remove(tune_controller, trial)

    def _of(self, trial: Any) -> ASHA:
        overrides = trial.config["overrides"]
        return self._by_option[next(text for text in overrides if text.startswith(self._start))]


def scheduler_of(study: Study, max_epochs: int, past: Sequence[TrialRecord]) -> TrialScheduler:
    """The study's scheduler, knowing the epochs of trials that ended or are resumed."""
    if study.scheduler is None:
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    asha = study.scheduler.asha
    make = ASHA if asha.within is None else partial(WithinOptions, asha.within)
    scheduler = make(
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
                None,
                PastTrial(
                    f"past-{record.number}",
                    {"number": record.number, "overrides": record.overrides},
                ),
            )
    return scheduler
