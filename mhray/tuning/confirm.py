"""Running what is missing of a confirmation, after a study's search, as the search's trials run.

The runs are trials of a Tuner of their own, whose searcher asks the race what it needs next. While
the race waits for runs that train, the searcher has nothing to hand out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher
from rich.console import Console
from typing_extensions import override

from mhray.training.connection import connected
from mhray.training.resume import mend
from mhray.tuning.candidates import most_runs
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.confirmation import Confirmation, study_of_runs
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Confirmations, Journal
from mhray.tuning.limits import Limits
from mhray.tuning.progress import Progress
from mhray.tuning.record import TrialRecord
from mhray.tuning.recording import MlflowObserver
from mhray.tuning.search import Observer, SearchPlan, StudySearch
from mhray.tuning.speeds import USUAL_LEAD
from mhray.tuning.standings import Standings
from mhray.tuning.study import Study
from mhray.tuning.sweep import Errand, SweepPlan, run_errand
from mhray.tuning.time_left import TimeLeft


def confirm_best(
    checked: CheckedStudy, journal: Journal, mlflow: MlflowObserver, console: Console
) -> bool:
    """Confirm a study's best trials, if it says so, as far as its hours go.

    Returns:
        False if a signal has stopped it.
    """
    if checked.study.confirm is None:
        return True
    return _Confirming(checked, checked.study.confirm, journal, mlflow, console).run()


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
class _Confirming:
    """The confirmation of one study at one start."""

    checked: CheckedStudy
    confirm: Confirm
    journal: Journal
    mlflow: MlflowObserver
    console: Console

    def run(self) -> bool:
        study = study_of_runs(self.checked.study, self.confirm)
        runs = self.journal.confirmations(study)
        mlflow = self.mlflow.of_confirmations()
        mlflow.tell_again(runs.ended())
        limits = self._limits(study, runs)
        if not self._state(runs).wanted() or limits.used_up():
            return self._told(runs, limits)
        self._say_what_comes(runs)
        try:
            return self._run(study, runs, mlflow, limits) and self._told(runs, limits)
        finally:
            mlflow.trials_stand(runs.orphans())

    def _run(
        self, study: Study, runs: Confirmations, mlflow: MlflowObserver, limits: Limits
    ) -> bool:
        for orphan in runs.orphans():
            mend(self._directory_of(orphan.number))
        plan = self._plan(mlflow, limits)
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
        resources = study.resources
        with connected(
            needs_dashboard=resources.workers_per_trial > 1, is_open=resources.open_to_network
        ):
            return run_errand(errand, study, runs, plan, [mlflow], self._progress(study, runs))

    def _state(self, runs: Confirmations) -> Confirmation:
        trials = self.journal.trials()
        return Confirmation(self.checked.study, self.confirm, trials, runs.trials())

    def _limits(self, study: Study, runs: Confirmations) -> Limits:
        def records() -> list[TrialRecord]:
            return [*self.journal.trials(), *runs.trials()]

        return Limits(study, self.checked.max_epochs, self.journal.spent, records, {})

    def _plan(self, mlflow: MlflowObserver, limits: Limits) -> SweepPlan:
        checked = self.checked
        return SweepPlan(
            directory=checked.directory,
            root=checked.directory / "confirmation",
            data_dir=Path(checked.base.data.data_dir),
            config_dir=checked.config_dir,
            parallel_trials=checked.parallel_trials,
            search=SearchPlan(
                max_epochs=checked.max_epochs,
                seed=checked.base.seed,
                trial_directory=self._directory_of,
                run_id_of=mlflow.run_id_of,
                has_room=limits.has_room,
            ),
            limits=limits,
        )

    def _directory_of(self, number: int) -> Path:
        return self.checked.directory / "confirmation" / str(number)

    def _progress(self, study: Study, runs: Confirmations) -> Progress:
        checked = self.checked
        _, most = most_runs(checked.study, self.confirm)
        standings = Standings(study.selection, checked.shown_metrics, most, runs.ended())
        max_epochs = checked.max_epochs
        left = TimeLeft(study, max_epochs, checked.parallel_trials, runs.trials(), None, USUAL_LEAD)
        return Progress(self.console, standings, left, max_epochs, noun="confirmation")

    def _say_what_comes(self, runs: Confirmations) -> None:
        state = self._state(runs)
        names = ", ".join(state.race.going_on)
        seeds = f"{self.confirm.seeds} to {self.confirm.max_seeds} fresh seeds"
        self.console.print(f"confirmation: {names}, each with {seeds}", markup=False)

    def _told(self, runs: Confirmations, limits: Limits) -> bool:
        """Always true; says what is missing if the hours have ended it."""
        if self._state(runs).wanted():
            self.console.print(
                f"{limits.came_too_short()} is used up before the best trials are confirmed; a "
                "larger one goes on with them",
                markup=False,
            )
        return True
