"""Running what is missing of a confirmation, after a study's search, as the search's trials run.

The runs are trials of a Tuner of their own, whose searcher asks the race what it needs next. While
the race waits for runs that train, the searcher has nothing to hand out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher
from rich.console import Console
from typing_extensions import override

from mhray.training.resume import mend
from mhray.training.trial_files import TrialFiles
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.confirmation import Confirmation, study_of_runs
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Confirmations, Journal
from mhray.tuning.limits import Limits
from mhray.tuning.places import CONFIRMATION, files_of
from mhray.tuning.progress import Progress
from mhray.tuning.record import TrialRecord
from mhray.tuning.recording import MlflowObserver
from mhray.tuning.search import Observer, SearchPlan, StudySearch
from mhray.tuning.speeds import USUAL_LEAD
from mhray.tuning.standings import Standings
from mhray.tuning.study import Study
from mhray.tuning.sweep import Errand, SweepPlan, run_errand
from mhray.tuning.time_left import TimeLeft


class RaceSearch(StudySearch):
    """Hands out the runs that a race needs next; tells their journal how they ended."""

    def __init__(
        self,
        study: Study,
        runs: Confirmations,
        plan: SearchPlan,
        observers: list[Observer],
        guard: Guard,
        state: Callable[[], Confirmation],
    ) -> None:
        super().__init__(study, runs, plan, observers, guard)
        self._runs = runs
        self._state = state

    @override
    def _next(self, trial_id: str) -> Any:
        state = self._state()
        if not state.wanted():
            return Searcher.FINISHED
        record = self._first_missing(state)
        if record is None:
            return None
        if not self._plan.has_room(record, len(self._numbers)):
            return Searcher.FINISHED
        self._numbers[trial_id] = record.number
        return {"number": record.number, "overrides": list(record.overrides)}

    def _first_missing(self, state: Confirmation) -> TrialRecord | None:
        """The first wanted run that does not train already; None if all do."""
        for run in state.wanted():
            known = state.run_of.get((run.candidate.name, run.seed))
            if known is None:
                overrides = run.candidate.with_seed(run.seed)
                return self._runs.add(run.candidate.name, overrides, run.seed)
            if known.number not in self._numbers.values():
                return known
        return None


@dataclass(frozen=True)
class Confirming:
    """The confirmation of one study at one start."""

    checked: CheckedStudy
    journal: Journal
    mlflow: MlflowObserver
    console: Console

    @cached_property
    def runs(self) -> Confirmations | None:
        """The journal of its runs; None if the study confirms nothing."""
        confirm = self.checked.study.confirm
        if confirm is None:
            return None
        runs = self.journal.confirmations(study_of_runs(self.checked.study, confirm))
        self.mlflow.of_confirmations().tell_again(runs.ended())
        return runs

    def is_wanted(self) -> bool:
        """Whether there is something to run, once the search has ended."""
        return self.runs is not None and bool(self._state(self.runs).wanted())

    def epochs(self) -> int:
        """How many its runs have trained so far."""
        return sum(len(run.epochs) for run in self.runs.trials()) if self.runs else 0

    def run(self, search: SweepPlan) -> bool:
        """Run what is missing, as far as the study's hours go; Ray must be connected.

        Returns:
            Whether it is at its end, or its budget: false after a signal.

        Raises:
            FailingTrialsError: too many runs failed for the same reason.
        """
        confirm, runs = self.checked.study.confirm, self.runs
        if confirm is None or runs is None or not self.is_wanted():
            return True
        plan = self._plan(search, runs)
        self.console.print(self._what_comes(confirm, runs), markup=False)
        try:
            if not self._run(study_of_runs(self.checked.study, confirm), runs, plan):
                return False
        finally:
            self.mlflow.of_confirmations().trials_stand(runs.orphans())
        if self.is_wanted():
            self.console.print(_what_ended(plan.limits), markup=False)
        return True

    def _run(self, study: Study, runs: Confirmations, plan: SweepPlan) -> bool:
        if plan.limits.used_up():
            return True
        for orphan in runs.orphans():
            mend(self._files.directory(orphan.number))
        errand = Errand(
            searcher=lambda told, guard: RaceSearch(
                study, runs, plan.search, told, guard, lambda: self._state(runs)
            ),
            scheduler=lambda _guard: FIFOScheduler(),  # type: ignore[no-untyped-call]
            # Who comes to lead brings its twin, so there is no number that is never passed.
            most=-1,
            at_a_time=plan.parallel_trials,
            is_done=lambda: not self._state(runs).wanted(),
        )
        told: list[Observer] = [self.mlflow.of_confirmations()]
        return run_errand(errand, study, runs, plan, told, self._progress(study, runs))

    def _state(self, runs: Confirmations) -> Confirmation:
        study, confirm = self.checked.study, self.checked.study.confirm or Confirm()
        return Confirmation(study, confirm, self.journal.trials(), runs.trials())

    def _plan(self, search: SweepPlan, runs: Confirmations) -> SweepPlan:
        """The search's, with a place, MLflow runs and limits of its own."""
        limits = self._limits(runs)
        own = replace(
            search.search,
            files=self._files,
            run_id_of=self.mlflow.of_confirmations().run_id_of,
            has_room=limits.has_room,
        )
        return replace(search, search=own, limits=limits)

    def _limits(self, runs: Confirmations) -> Limits:
        def records() -> list[TrialRecord]:
            return [*self.journal.trials(), *runs.trials()]

        # A run that is not trained to its end says nothing.
        study = self.checked.study.model_copy(update={"scheduler": None})
        return Limits(study, self.checked.max_epochs, self.journal.spent, records, {})

    @property
    def _files(self) -> TrialFiles:
        return files_of(self.checked.study, CONFIRMATION)

    def _progress(self, study: Study, runs: Confirmations) -> Progress:
        checked, most = self.checked, self._most(runs)
        study = study.model_copy(
            update={"budget": study.budget.model_copy(update={"trials": most})}
        )
        standings = Standings(study.selection, checked.shown_metrics, most, runs.ended())
        max_epochs = checked.max_epochs
        left = TimeLeft(study, max_epochs, checked.parallel_trials, runs.trials(), None, USUAL_LEAD)
        return Progress(self.console, standings, left, max_epochs, noun="confirmation")

    def _most(self, runs: Confirmations) -> int:
        """Runs there may be at most, of the candidates that are known and of earlier ones."""
        entered = self._state(runs).race.entered
        most = (self.checked.study.confirm or Confirm()).max_seeds
        return most * len(entered) + sum(run.candidate not in entered for run in runs.ended())

    def _what_comes(self, confirm: Confirm, runs: Confirmations) -> str:
        names = ", ".join(self._state(runs).race.going_on)
        most = f" to {confirm.max_seeds}" if confirm.max_seeds > confirm.seeds else ""
        return f"confirmation: {names}, each with {confirm.seeds}{most} fresh seeds"


def _what_ended(limits: Limits) -> str:
    return (
        f"{limits.came_too_short()} is used up before the best trials are confirmed; a larger one "
        "goes on with them"
    )
