"""A study as a Ray Tune searcher: what to run next, and what the sampler is told.

Not Ray's own ``OptunaSearch``: that tells Optuna a trial which ASHA stopped at epoch 1 as complete
with its epoch-1 value, keeps several objectives from early stopping, and loses its study with the
driver. Here only trials that trained to the end are told as complete, the others as pruned with
their last value, and every word goes into the journal before anyone else hears of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from ray.tune.search import Searcher
from typing_extensions import override

from mhray.errors import ClusterError, FullDiskError
from mhray.training.epoch_row import EpochRow
from mhray.training.trial_files import TrialFiles
from mhray.tuning.distributions import Draw
from mhray.tuning.failures import DIED, TEXT
from mhray.tuning.grid import seed_of
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.record import State, TrialRecord
from mhray.tuning.samplers import sampler_of
from mhray.tuning.space import baseline, format_override, value_at, with_options
from mhray.tuning.study import Study
from mhray.tuning.trial_overrides import fixed_overrides, overrides_of
from mhray.tuning.world import Compose
from mhray.tuning.yaml_lines import Value

FULL_DISK = "full_disk"  # what a trial reports in place of an epoch that it could not save
UNFIT_NODE = "unfit_node"  # … where nothing that it writes would be kept


class Observer(Protocol):
    """Hears of everything once it stands in the journal."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial was handed to a worker, for the first time or again."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial is finished for good."""

    def epoch_ended(self, number: int, row: EpochRow) -> None:
        """A trial has finished an epoch that it had not finished before."""


@dataclass(frozen=True)
class SearchPlan:
    """What the searcher has to know besides the study.

    Attributes:
        max_epochs: the epoch at which a trial is complete.
        seed: of every trial's run that gets none from a grid.
        files: of the trials.
        run_id_of: the MLflow run of a trial, or empty as long as it has none.
        heads: what all trials predict, for a scheduler that compares heads.
        has_room: whether there is time for a trial beside so many others.
    """

    max_epochs: int
    seed: int
    files: TrialFiles
    run_id_of: Callable[[int], str]
    heads: Sequence[str] = ()
    has_room: Callable[[TrialRecord, int], bool] = lambda _record, _beside: True


class StudySearch(Searcher):
    """Hands out orphans, then what the sampler asks for; tells the journal how it ended."""

    def __init__(
        self,
        study: Study,
        journal: Journal,
        plan: SearchPlan,
        observers: list[Observer],
        guard: Guard,
    ) -> None:
        super().__init__(metric="best", mode=study.select.mode)
        self._study = study
        self._journal = journal
        self._plan = plan
        self._observers = observers
        self._guard = guard
        self._sampler = sampler_of(study, len(journal.trials()))
        self._orphans = journal.orphans()
        self._numbers: dict[str, int] = {}

    @override
    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        return True

    @override
    def suggest(self, trial_id: str) -> Any:
        with self._guard:
            return self._next(trial_id)
        return Searcher.FINISHED

    @override
    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        with self._guard:
            self._record(self._numbers[trial_id], result)

    @override
    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        with self._guard:
            number = self._numbers.pop(trial_id)
            if result is not None:
                self._record(number, result)
            self._end(number, failed=error or result is None or "failure" in result)

    @override
    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text("the study's journal holds the state\n", encoding="utf-8")

    @override
    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a sweep resumes from its journal, never from Tune's snapshot")

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def _next(self, trial_id: str) -> Any:
        record = self._first()
        while not self._plan.has_room(record, len(self._numbers)):
            if not self._orphans:
                return Searcher.FINISHED
            record = self._first()
        self._numbers[trial_id] = record.number
        return {"number": record.number, "overrides": list(record.overrides)}

    def _first(self) -> TrialRecord:
        record = self._orphans.pop(0) if self._orphans else None
        return record if record and record.overrides else self._draw(record)

    def _draw(self, orphan: TrialRecord | None) -> TrialRecord:
        trial = (
            self._journal.ask(self._sampler)
            if orphan is None
            else self._journal.reopen(orphan.number, self._sampler)
        )
        overrides = overrides_of(self._study, trial)
        seed = seed_of(self._study, trial.number)
        self._journal.describe(trial.number, overrides, self._plan.seed if seed is None else seed)
        return self._journal.trial(trial.number)

    def _record(self, number: int, result: Mapping[str, Any]) -> None:
        if FULL_DISK in result:
            raise FullDiskError(result[FULL_DISK])
        if UNFIT_NODE in result:
            raise ClusterError(result[UNFIT_NODE])
        if "epoch" not in result or "failure" in result:
            return
        row = row_of(result)
        if self._journal.add_epoch(number, row):
            for observer in self._observers:
                observer.epoch_ended(number, row)

    def _end(self, number: int, *, failed: bool) -> None:
        record = self._journal.trial(number)
        directory = self._plan.files.directory(number)
        if failed:
            self._plan.files.hear(number)
        state: State = "FAIL" if failed or not record.epochs else "PRUNED"
        if state == "PRUNED" and record.epochs[-1].epoch >= self._plan.max_epochs:
            state = "COMPLETE"
        self._journal.end(
            number,
            state,
            value=self._values_of(record) if state == "COMPLETE" else None,
            checkpoint=str(directory / "best.ckpt") if record.epochs else "",
            mlflow_run_id=self._plan.run_id_of(number),
            failure=failure_in(directory) if state == "FAIL" else "",
        )
        for observer in self._observers:
            observer.trial_ended(self._journal.trial(number))

    def _values_of(self, record: TrialRecord) -> list[float]:
        metrics = record.best_epoch(self._study.selection).metrics
        return [metrics[goal.metric] for goal in self._study.told]


def baselines_of(study: Study, compose: Compose) -> list[Draw]:
    """The parameters of the trials that a study starts with, trial 0 first.

    Where options are brackets of their own, each option has one, with the values of the config that
    it makes: a sampler may be long in coming to an option.
    """
    if (path := study.within) is None:
        return [baseline_of(study, compose)]
    options = study.search[path].options()
    return [baseline_of(study, compose, {path: option}) for option in options]


def baseline_of(
    study: Study,
    compose: Compose,
    chosen: Mapping[str, Value] = MappingProxyType({}),
    given: Mapping[str, Value] = MappingProxyType({}),
) -> Draw:
    """The parameters of a trial that has these options, and values that are given or its config's.

    Both by path. Where options are brackets, a trial that chooses none has the first.
    """
    if study.within is not None:
        chosen = {study.within: next(iter(study.search[study.within].options())), **chosen}
    options = [format_override(path, option) for path, option in chosen.items()]
    config = compose([*fixed_overrides(study), *options])
    return baseline(with_options(study.search, chosen), partial(value_at, config), given)


def row_of(result: Mapping[str, Any]) -> EpochRow:
    """The epoch's row in a flattened Tune result."""
    prefix = "metrics/"
    metrics = {
        name.removeprefix(prefix): value
        for name, value in result.items()
        if name.startswith(prefix)
    }
    others = [field.name for field in fields(EpochRow) if field.name != "metrics"]
    return EpochRow(metrics=metrics, **{name: result[name] for name in others})


def failure_in(directory: Path) -> str:
    """Why a trial failed, as its own process wrote it before it ended."""
    try:
        return (directory / TEXT).read_text(encoding="utf-8")
    except FileNotFoundError:
        return DIED
