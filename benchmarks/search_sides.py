"""The ways of searching that are compared, each driven as whoever wrote it drives it.

No trial is trained and Ray is not started: its schedulers and searchers are objects that are asked
in the order in which Tune asks them, and so is mhray's own searcher. All know the same space and
are told the plain mean over the heads. Where trials are stopped, all do so at epochs 1, 3, 9, ...
unless a trial is in the best third of those that came there.
"""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import optuna
from optuna.pruners import NopPruner, SuccessiveHalvingPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from oracle_tables import MEAN
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch
from typing_extensions import override

from mhray.training.trial_files import TrialFiles
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.schedulers import PastTrial, stopping_scheduler
from mhray.tuning.search import SearchPlan, StudySearch
from mhray.tuning.storage import directions_of
from mhray.tuning.study import Study

GRACE_EPOCHS = 1
KEEP_ONE_IN = 3


@dataclass(frozen=True)
class Task:
    """What there is to be searched.

    Attributes:
        stops: whether trials that fall behind are stopped.
        folder: empty.
    """

    table: object
    seed: int
    epochs: int
    stops: bool
    folder: Path


class Side(ABC):
    """A search in progress. Trials are named by whoever runs them."""

    name: ClassVar[str]

    def __init__(self, task):
        self.task = task

    @abstractmethod
    def suggest(self, key):
        """The configuration of a new trial: an index by parameter."""

    @abstractmethod
    def goes_on(self, key, epoch):
        """Hears of an epoch; says whether the trial goes on."""

    @abstractmethod
    def study(self):
        """What the sampler was told."""

    def final(self, epoch):
        """The value by which full-length trials are compared in the end."""
        return epoch.mean

    def told(self):
        """How many trials the sampler heard of as complete, and how many as pruned."""
        states = Counter(trial.state for trial in self.study().trials)
        return {"complete": states[TrialState.COMPLETE], "pruned": states[TrialState.PRUNED]}


class Mhray(Side):
    """StudySearch on a study of TPE, and its scheduler."""

    name = "mhray"

    def __init__(self, task):
        super().__init__(task)
        asha = {"asha": {"grace_epochs": GRACE_EPOCHS, "keep_one_in": KEEP_ONE_IN}}
        study = Study.model_validate(
            {
                "name": "oracle",
                "base": {"trainer.max_epochs": task.epochs},
                "search": {name: self._space(name) for name in task.table.sizes},
                "sampler": {"tpe": {"seed": task.seed}},
                "scheduler": asha if task.stops else None,
            }
        )
        plan = SearchPlan(task.epochs, 0, TrialFiles(str(task.folder)), lambda _: "")
        self._guard = Guard()
        # In memory, where a trial costs half of what it costs in a file.
        storage = InMemoryStorage()
        self._study = optuna.create_study(
            storage=storage, direction="maximize", study_name="oracle"
        )
        journal = Journal(self._study, storage, directions_of(study))
        self._search = StudySearch(study, journal, plan, [], self._guard)
        self._scheduler = stopping_scheduler(study, task.epochs, [], ())
        self._trials = {}

    @override
    def suggest(self, key):
        config = self._search.suggest(key)
        self._guard.reraise()
        self._trials[key] = PastTrial(key, config)
        self._scheduler.on_trial_add(None, self._trials[key])
        drawn = dict(override.split("=") for override in config["overrides"])
        return {name: int(drawn[name]) for name in self.task.table.sizes}

    @override
    def goes_on(self, key, epoch):
        result = self._result(epoch)
        decision = self._scheduler.on_trial_result(None, self._trials[key], result)
        is_last = epoch.number == self.task.epochs or decision == TrialScheduler.STOP
        if is_last:
            self._search.on_trial_complete(key, result)
        else:
            self._search.on_trial_result(key, result)
        self._guard.reraise()
        return not is_last

    @override
    def study(self):
        return self._study

    @override
    def final(self, epoch):
        return epoch.best

    def _space(self, name):
        size = self.task.table.sizes[name]
        if name in self.task.table.words:
            return {"choice": list(range(size))}
        return {"integer": [0, size - 1]}

    def _result(self, epoch):
        heads = zip(self.task.table.heads, epoch.heads, strict=True)
        return {
            "epoch": epoch.number,
            "best": epoch.best,
            "seconds": 1.0,
            "time": 0.0,
            "images_per_second": 1.0,
            f"metrics/{MEAN}": epoch.mean,
            **{f"metrics/val/{head}_acc": value for head, value in heads},
        }


class BareOptuna(Side):
    """Optuna without anything around it: its TPE and, to stop trials, its successive halving."""

    name = "bare Optuna"

    def __init__(self, task):
        super().__init__(task)
        halving = SuccessiveHalvingPruner(GRACE_EPOCHS, KEEP_ONE_IN, 0)
        self._study = optuna.create_study(
            direction="maximize",
            sampler=self._sampler(),
            pruner=halving if task.stops else NopPruner(),
        )
        self._trials = {}

    def _sampler(self):
        return TPESampler(seed=self.task.seed)

    @override
    def suggest(self, key):
        trial = self._trials[key] = self._study.ask()
        return {
            name: trial.suggest_categorical(name, range(size))
            if name in self.task.table.words
            else trial.suggest_int(name, 0, size - 1)
            for name, size in self.task.table.sizes.items()
        }

    @override
    def goes_on(self, key, epoch):
        trial = self._trials[key]
        trial.report(epoch.mean, epoch.number)
        if epoch.number == self.task.epochs:
            self._study.tell(trial, epoch.mean)
        elif trial.should_prune():
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            return True
        return False

    @override
    def study(self):
        return self._study


class RandomSearch(BareOptuna):
    """Random draws; where trials are stopped, by Optuna's successive halving."""

    name = "random search"

    @override
    def _sampler(self):
        return RandomSampler(seed=self.task.seed)


class RayOptuna(Side):
    """Ray's own combination: OptunaSearch and, to stop trials, ASHAScheduler."""

    name = "Ray's OptunaSearch"

    def __init__(self, task):
        super().__init__(task)
        self._search = OptunaSearch(metric=MEAN, mode="max", seed=task.seed)
        space = {name: self._space(name) for name in task.table.sizes}
        self._search.set_search_properties(MEAN, "max", space)
        self._scheduler = (
            ASHAScheduler(
                metric=MEAN,
                mode="max",
                max_t=task.epochs,
                grace_period=GRACE_EPOCHS,
                reduction_factor=KEEP_ONE_IN,
            )
            if task.stops
            else FIFOScheduler()
        )
        self._trials = {}

    def _space(self, name):
        size = self.task.table.sizes[name]
        return (
            tune.choice(list(range(size)))
            if name in self.task.table.words
            else tune.randint(0, size)
        )

    @override
    def suggest(self, key):
        config = self._search.suggest(key)
        self._trials[key] = PastTrial(key, config)
        self._scheduler.on_trial_add(None, self._trials[key])
        return config

    @override
    def goes_on(self, key, epoch):
        result = {"training_iteration": epoch.number, MEAN: epoch.mean}
        decision = self._scheduler.on_trial_result(None, self._trials[key], result)
        is_last = epoch.number == self.task.epochs or decision == TrialScheduler.STOP
        if is_last:
            self._search.on_trial_complete(key, result)
        else:
            self._search.on_trial_result(key, result)
        return not is_last

    @override
    def study(self):
        return self._search._ot_study  # noqa: SLF001


SIDES = (Mhray, BareOptuna, RayOptuna, RandomSearch)
