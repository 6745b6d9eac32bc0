"""A sweep: a study's trials under Ray Tune, from the first start or from where the last one ended.

Tune runs the trials and nothing more. What to run comes from the study's searcher, what has
happened stands in the journal, and resuming is a new Tuner on the same journal: ``Tuner.restore``
loses finished trials when the driver is killed.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import CLIReporter, FailureConfig, RunConfig, Stopper, TuneConfig, Tuner
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from typing_extensions import override

from mhray.errors import filling
from mhray.training.staging import Arrivals
from mhray.tuning.arrivals import TellArrivals
from mhray.tuning.failure_rule import FailureRule
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.limits import Limits
from mhray.tuning.lost_memory import LostToMemory
from mhray.tuning.lost_ray import EndWithoutRay
from mhray.tuning.progress import Progress
from mhray.tuning.schedulers import most_unfinished, scheduler_of
from mhray.tuning.search import Observer, SearchPlan, StudySearch
from mhray.tuning.stalls import EndStalled
from mhray.tuning.starts import HeldGpus, RetriesAnew, StartsAndRetries
from mhray.tuning.stopping import signals_stop
from mhray.tuning.study import Study
from mhray.tuning.terms import Terms
from mhray.tuning.trial import TrialJob, run_trial


class SweepStopper(Stopper):
    """Ends the sweep when a signal, the clock, the failures or a tripped guard say so."""

    def __init__(self, limits: Limits, rule: FailureRule, guard: Guard, progress: Progress) -> None:
        self._limits = limits
        self._rule = rule
        self._guard = guard
        self._progress = progress
        self.was_asked_to_stop = False

    def ask(self) -> bool:
        """Have the sweep stopped; returns whether nobody has asked before."""
        is_new, self.was_asked_to_stop = not self.was_asked_to_stop, True
        return is_new

    @override
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    @override
    def stop_all(self) -> bool:
        with self._guard:
            if self.was_asked_to_stop:
                self._progress.stopping()
        asked = self.was_asked_to_stop or self._rule.has_tripped or self._guard.has_tripped
        return asked or bool(self._limits.used_up())

    def __getstate__(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep needs besides its study and its journal.

    Attributes:
        directory: the study's own.
        data_dir: the data set's.
        config_dir: the user's own Hydra groups as a worker finds them, or empty.
        terms: of a cluster, what its nodes have to meet.
        arrivals: how the data come to the nodes.
        parallel_trials: how many run at a time.
        search: what the searcher needs.
        limits: of the study's time.
    """

    directory: Path
    data_dir: Path
    config_dir: str
    terms: Terms | None
    arrivals: Arrivals
    parallel_trials: int
    search: SearchPlan
    limits: Limits


@dataclass(frozen=True)
class Errand:
    """What Tune is to run for a sweep.

    Attributes:
        searcher: made for these observers; says what to run next.
        scheduler: what stops trials on the way.
        most: how many trials it may be.
        at_a_time: how many of them may be unfinished.
        is_done: whether nothing is left to run.
    """

    searcher: Callable[[list[Observer], Guard], Searcher]
    scheduler: Callable[[Guard], TrialScheduler]
    most: int
    at_a_time: int
    is_done: Callable[[], bool]


def run_trials(
    study: Study,
    journal: Journal,
    plan: SweepPlan,
    observers: list[Observer],
    progress: Progress,
) -> bool:
    """Run what is missing of a study's search; as :func:`run_errand`."""
    errand = Errand(
        searcher=lambda told, guard: StudySearch(study, journal, plan.search, told, guard),
        scheduler=lambda guard: scheduler_of(study, plan.search, journal, guard),
        most=study.budget.trials - len(journal.ended()),
        at_a_time=most_unfinished(study, plan.parallel_trials),
        is_done=lambda: len(journal.ended()) >= study.budget.trials,
    )
    return run_errand(errand, study, journal, plan, observers, progress)


def run_errand(
    errand: Errand,
    study: Study,
    journal: Journal,
    plan: SweepPlan,
    observers: list[Observer],
    progress: Progress,
) -> bool:
    """Run trials; Ray must be connected.

    Returns:
        Whether all have been run, or as many as the hours allow: false after a signal.

    Raises:
        FailingTrialsError: too many trials failed for the same reason; the others are kept.
    """
    guard, files = Guard(), plan.search.files
    memory = LostToMemory(files, guard)
    rule = FailureRule(progress.console, Path(files.root))
    stopper = SweepStopper(plan.limits, rule, guard, progress)
    retries = RetriesAnew()
    everyone = [*observers, progress, rule, retries]
    tuner = Tuner(
        tune.with_resources(run_trial, _resources(study)),
        param_space={"job": job_of(plan)},
        tune_config=TuneConfig(
            search_alg=errand.searcher(everyone, guard),
            scheduler=errand.scheduler(guard),
            num_samples=errand.most,
            max_concurrent_trials=errand.at_a_time,
            reuse_actors=study.resources.workers_per_trial == 1,
            trial_name_creator=_name_of,
            trial_dirname_creator=_name_of,
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(plan.directory),
            stop=stopper,
            callbacks=[
                retries,
                StartsAndRetries(journal, files, everyone, progress, guard),
                HeldGpus(plan.limits),
                EndWithoutRay(guard),
                TellArrivals(plan.arrivals, progress.console, guard),
                EndStalled(study.resources.stall_minutes, files, guard),
            ],
            failure_config=FailureConfig(max_failures=study.resources.retries),
            verbose=0,
            # In a notebook Ray's usual one clears the cell, and with it what was said before.
            progress_reporter=CLIReporter(),
        ),
    )
    shutil.rmtree(plan.directory / "ray", ignore_errors=True)
    with signals_stop(stopper.ask), progress.shown(), filling(plan.directory), memory.told():
        tuner.fit()
    shutil.rmtree(plan.directory / "ray", ignore_errors=True)
    guard.reraise()
    if errand.is_done():
        return True
    rule.refuse_to_go_on()
    return not stopper.was_asked_to_stop and bool(plan.limits.came_too_short())


def _name_of(trial: Trial) -> str:
    return f"trial-{trial.config['number']}"


def job_of(plan: SweepPlan) -> TrialJob:
    """What a sweep's trials have in common."""
    return TrialJob(
        files=plan.search.files,
        data_dir=str(plan.data_dir),
        config_dir=plan.config_dir,
        terms=plan.terms,
    )


def _resources(study: Study) -> tune.PlacementGroupFactory:
    if study.resources.workers_per_trial > 1:
        # Train reserves its workers itself, and Tune takes no trial that asks for nothing. A
        # hundredth of a core would keep the last worker of a full machine waiting for ever.
        return tune.PlacementGroupFactory([{"memory": 1}])
    worker = study.resources.per_worker
    memory = {"memory": worker.memory_bytes} if worker.memory else {}
    return tune.PlacementGroupFactory([{"CPU": worker.cpus, "GPU": worker.gpus, **memory}])
