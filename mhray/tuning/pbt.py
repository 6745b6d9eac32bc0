"""Population-based training under Ray Tune: trials pause, wait for each other and go on.

Not Ray's ``PopulationBasedTraining``: it refuses every searcher, so that no journal could hear of
its trials; it draws from Python's own generator; and what it changed is lost with the driver. Here
a trial that takes over finds its parent's checkpoint in its own directory, as if it had trained it,
and the journal knows of it before the trial goes on. A trial always goes on from the checkpoint in
its directory, so pausing needs none of Tune's.
"""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from typing_extensions import override

from mhray.errors import StorageError, full_disk, is_full
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.population import takeovers
from mhray.tuning.record import Takeover
from mhray.tuning.scheduler_kinds import Pbt
from mhray.tuning.search import SearchPlan
from mhray.tuning.study import Study


class PopulationBasedTraining(FIFOScheduler):
    """Stops all trials every few epochs until all stand; then the worst take over from the best.

    A trial that stands leaves its place to one that waits for a place, and otherwise stays in it:
    a new process would take longer to start than many an epoch takes.
    """

    def __init__(
        self, study: Study, pbt: Pbt, plan: SearchPlan, journal: Journal, guard: Guard
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._study = study
        self._pbt = pbt
        self._plan = plan
        self._journal = journal
        self._guard = guard
        self._size = study.budget.trials - len(journal.ended())
        self._seen: set[int] = set()
        self._members: dict[int, Any] = {}
        self._standing: set[int] = set()
        self._in_place: set[int] = set()
        self._decided = self._last_decided()

    @override
    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._members[trial.config["number"]] = trial
        self._seen.add(trial.config["number"])

    @override
    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        epoch = result.get("epoch", 0)
        self._note_decided((epoch - 1) // self._pbt.every_epochs * self._pbt.every_epochs)
        is_boundary = epoch % self._pbt.every_epochs == 0 and epoch < self._plan.max_epochs
        if not is_boundary or epoch <= self._decided:
            return self.CONTINUE
        number = trial.config["number"]
        self._standing.add(number)
        self._in_place.add(number)
        is_waited_for = self._waiting(Trial.PENDING) or self._waiting(Trial.PAUSED)
        if len(self._seen) < self._size or is_waited_for:
            self._leave_place(tune_controller, number)
        return self.NOOP

    @override
    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._forget(trial)

    @override
    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._forget(trial)

    @override
    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        # Tune adds the trial again if it is to be tried again.
        self._forget(trial)

    @override
    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        with self._guard:
            all_have_come = len(self._seen) == self._size
            if all_have_come and self._standing and self._standing == set(self._members):
                self._decide()  # by now the searcher has told the journal of every row
            return self._next(tune_controller)
        return None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def _note_decided(self, boundary: int) -> None:
        """A trial that has gone on from a boundary shows that who stands there may go on."""
        # The sweep was killed after a decision by which nobody took over: no journal says so.
        if boundary > self._decided:
            self._decided = boundary
            self._standing.clear()

    def _next(self, tune_controller: Any) -> Any:
        pending, paused = self._waiting(Trial.PENDING), self._waiting(Trial.PAUSED)
        leaving = self._in_place if pending else self._in_place - self._standing
        # Tune ends a process that is left before a trial is pending for it, so that comes first.
        if paused and len(pending) < len(leaving):
            return paused[0]
        if leaving:
            self._leave_place(tune_controller, min(leaving))
        return next(iter([*pending, *paused]), None)

    def _waiting(self, status: str) -> list[Any]:
        """The trials of a status that could train and have no place."""
        return [
            trial
            for number, trial in self._members.items()
            if trial.status == status and number not in self._standing
        ]

    def _leave_place(self, tune_controller: Any, number: int) -> None:
        self._in_place.discard(number)
        tune_controller.pause_trial(self._members[number], should_checkpoint=False)

    def _decide(self) -> None:
        standing = [self._journal.trial(number) for number in sorted(self._standing)]
        decided = list(takeovers(self._study, self._pbt, standing))
        # Checkpoints first: without its word in the journal, all of this is done again.
        for takeover in decided:
            self._copy_checkpoints(takeover)
        self._journal.take_over(decided)
        for takeover in decided:
            trial = self._members[takeover.trial]
            trial.set_config({**trial.config, "overrides": list(takeover.overrides)})
        self._decided = standing[0].epochs[-1].epoch
        self._standing.clear()

    def _copy_checkpoints(self, takeover: Takeover) -> None:
        try:
            self._plan.files.take_over(takeover.trial, takeover.parent)
        except OSError as error:
            parent, own = map(self._plan.files.directory, (takeover.parent, takeover.trial))
            if is_full(error):
                raise full_disk(own) from None
            raise StorageError(
                f"storage: {parent} cannot be copied to {own} ({error.strerror}); mend that, and "
                "run the same command again"
            ) from None

    def _forget(self, trial: Any) -> None:
        number = trial.config["number"]
        self._members.pop(number, None)
        self._standing.discard(number)
        self._in_place.discard(number)

    def _last_decided(self) -> int:
        """The last boundary at which a trial that is resumed took over."""
        taken_over = [one.epoch for record in self._journal.orphans() for one in record.takeovers]
        return max(taken_over, default=0)
