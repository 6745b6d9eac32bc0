"""What becomes of running trials that fall behind: the study's scheduler as Ray Tune wants it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from mhray.tuning.asha import ASHA, brackets_within, hyperband
from mhray.tuning.guard import Guard
from mhray.tuning.heads_asha import HeadsASHA
from mhray.tuning.journal import Journal
from mhray.tuning.median import MedianStopping
from mhray.tuning.pbt import PopulationBasedTraining
from mhray.tuning.record import TrialRecord
from mhray.tuning.scheduler_kinds import (
    AshaScheduler,
    HyperbandScheduler,
    MedianScheduler,
    PbtScheduler,
)
from mhray.tuning.search import SearchPlan
from mhray.tuning.study import Study


@dataclass(frozen=True, eq=False)
class PastTrial:
    """What a scheduler looks at in a trial."""

    trial_id: str
    config: dict[str, Any] = field(default_factory=dict)


def scheduler_of(study: Study, plan: SearchPlan, journal: Journal, guard: Guard) -> TrialScheduler:
    """The study's scheduler, knowing the epochs of trials that ended or are resumed."""
    if isinstance(study.scheduler, PbtScheduler):
        return PopulationBasedTraining(study, study.scheduler.pbt, plan, journal, guard)
    return stopping_scheduler(study, plan.max_epochs, journal.trials(), plan.heads)


def most_unfinished(study: Study, parallel_trials: int) -> int:
    """How many trials may be unfinished at a time; those of a population wait for each other."""
    return study.budget.trials if isinstance(study.scheduler, PbtScheduler) else parallel_trials


def stopping_scheduler(
    study: Study, max_epochs: int, past: Sequence[TrialRecord], heads: Sequence[str] = ()
) -> TrialScheduler:
    """A scheduler that does nothing but stop trials, or not even that.

    ``heads`` are those that it compares if the study says so.
    """
    scheduler: Any = _without_past(study, max_epochs, past, heads)
    for record in past:
        if record.state != "RUNNING":
            config = {"number": record.number, "overrides": record.overrides}
            scheduler.on_trial_add(None, PastTrial(f"past-{record.number}", config))
    made: TrialScheduler = scheduler
    return made


def _without_past(
    study: Study, max_epochs: int, past: Sequence[TrialRecord], heads: Sequence[str]
) -> TrialScheduler:
    mode = study.select.mode
    asha = partial(ASHA, past, mode=mode, max_t=max_epochs)
    match study.scheduler:
        case AshaScheduler(asha=rule):
            by_heads = partial(HeadsASHA, past, heads, mode=mode, max_t=max_epochs)
            kind: Callable[..., ASHA] = by_heads if rule.by == "heads" else asha
            one = partial(kind, grace_period=rule.grace_epochs, reduction_factor=rule.keep_one_in)
            return one() if rule.within is None else brackets_within(rule.within, one)
        case HyperbandScheduler(hyperband=rule):
            some = partial(asha, reduction_factor=rule.keep_one_in)
            return hyperband(
                rule.grace_epochs,
                rule.keep_one_in,
                max_epochs,
                lambda first: some(grace_period=first),
            )
        case MedianScheduler(median=rule):
            return MedianStopping(
                past,
                study.select.metric,
                mode=mode,
                grace_period=rule.grace_epochs,
                min_samples_required=rule.min_trials,
            )
    return FIFOScheduler()  # type: ignore[no-untyped-call]
