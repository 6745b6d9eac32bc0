"""A sweep: a study's trials under Ray Tune, from the first start or from where the last one ended.

Tune runs the trials and nothing more. What to run comes from the study's searcher, what has
happened stands in the journal, and resuming is a new Tuner on the same journal: ``Tuner.restore``
loses finished trials when the driver is killed.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback, CLIReporter, FailureConfig, RunConfig, Stopper, TuneConfig, Tuner
from ray.tune.experiment import Trial
from typing_extensions import override

from mhray.errors import filling
from mhray.training.staging import Arrivals
from mhray.training.trial_files import TrialFiles
from mhray.tuning.arrivals import TellArrivals
from mhray.tuning.failure_rule import FailureRule
from mhray.tuning.failures import Failure
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.limits import Limits
from mhray.tuning.lost_ray import EndWithoutRay
from mhray.tuning.places import files_of
from mhray.tuning.progress import Progress
from mhray.tuning.schedulers import most_unfinished, scheduler_of
from mhray.tuning.search import Observer, SearchPlan, StudySearch
from mhray.tuning.stalls import EndStalled
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


class HeldGpus(Callback):
    """Tells the limits how many trials hold their GPUs, at each step of Tune's loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @override
    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._limits.hold(sum(trial.status == Trial.RUNNING for trial in trials))

    def __getstate__(self) -> dict[str, Any]:
        return {}


class StartsAndRetries(Callback):
    """Tells journal and observers what Tune tells no searcher: starts and retries."""

    def __init__(
        self,
        journal: Journal,
        files: TrialFiles,
        observers: list[Observer],
        progress: Progress,
        guard: Guard,
    ) -> None:
        self._journal = journal
        self._files = files
        self._observers = observers
        self._progress = progress
        self._guard = guard

    @override
    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        with self._guard:
            number = trial.config["number"]
            self._journal.count_start(number)
            for observer in self._observers:
                observer.trial_started(self._journal.trial(number))

    @override
    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        with self._guard:
            number = trial.config["number"]
            self._files.hear(number)
            failure = Failure.read(self._files.directory(number))
            self._progress.trial_retried(number, failure.headline)

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
        parallel_trials: how many run at a time.
        search: what the searcher needs.
        limits: of the study's time.
    """

    directory: Path
    data_dir: Path
    config_dir: str
    terms: Terms | None
    parallel_trials: int
    search: SearchPlan
    limits: Limits


def run_trials(
    study: Study,
    journal: Journal,
    plan: SweepPlan,
    observers: list[Observer],
    progress: Progress,
    arrivals: Arrivals,
) -> bool:
    """Run what is missing of a study; Ray must be connected.

    Returns:
        Whether the study has come to its end, or to that of its hours: false after a signal.

    Raises:
        FailingTrialsError: too many trials failed for the same reason; the others are kept.
    """
    guard, files = Guard(), files_of(study)
    rule = FailureRule(progress.console, plan.directory / "checkpoints")
    ended = journal.ended()
    stopper = SweepStopper(plan.limits, rule, guard, progress)
    everyone = [*observers, progress, rule]
    tuner = Tuner(
        tune.with_resources(run_trial, _resources(study)),
        param_space={"job": _job(study, plan)},
        tune_config=TuneConfig(
            search_alg=StudySearch(study, journal, plan.search, everyone, guard),
            scheduler=scheduler_of(study, plan.search, journal, guard),
            num_samples=study.budget.trials - len(ended),
            max_concurrent_trials=most_unfinished(study, plan.parallel_trials),
            reuse_actors=study.resources.workers_per_trial == 1,
            trial_name_creator=_name_of,
            trial_dirname_creator=_name_of,
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(plan.directory),
            stop=stopper,
            callbacks=[
                StartsAndRetries(journal, files, everyone, progress, guard),
                HeldGpus(plan.limits),
                EndWithoutRay(guard),
                TellArrivals(arrivals, progress.console, guard),
                EndStalled(study.resources.stall_minutes, files, guard),
            ],
            failure_config=FailureConfig(max_failures=study.resources.retries),
            verbose=0,
            # In a notebook Ray's usual one clears the cell, and with it what was said before.
            progress_reporter=CLIReporter(),
        ),
    )
    shutil.rmtree(plan.directory / "ray", ignore_errors=True)
    with signals_stop(stopper.ask), progress.shown(), filling(plan.directory):
        tuner.fit()
    shutil.rmtree(plan.directory / "ray", ignore_errors=True)
    guard.reraise()
    if len(journal.ended()) >= study.budget.trials:
        return True
    rule.refuse_to_go_on()
    return not stopper.was_asked_to_stop and bool(plan.limits.came_too_short())


def _name_of(trial: Trial) -> str:
    return f"trial-{trial.config['number']}"


def _job(study: Study, plan: SweepPlan) -> TrialJob:
    return TrialJob(
        files=files_of(study),
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
