"""Successive halving: ASHA as Ray has it, with a memory, and brackets of it side by side.

What Ray lacks is the past: after a resume the rungs hold what the journal holds, or the first
trials of the new start would be compared with nothing.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from typing_extensions import override

from mhray.tuning.record import BASELINE, TrialRecord
from mhray.tuning.rungs import bracket_of, first_rungs


class ASHA(ASHAScheduler):
    """Ray's ASHA, which knows past epochs and never stops trial 0: half a baseline is none."""

    def __init__(self, past: Sequence[TrialRecord], **options: Any) -> None:
        super().__init__(time_attr="epoch", metric="best", **options)
        self._past = {record.number: record for record in past}

    @override
    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        record = self._past.get(trial.config.get("number"))
        for row in record.epochs if record else ():
            metrics = {f"metrics/{name}": value for name, value in row.metrics.items()}
            result = {"epoch": row.epoch, "best": row.best, **metrics}
            self._decide(tune_controller, trial, result)

    @override
    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        action = self._decide(tune_controller, trial, result)
        is_spared = trial.config.get("number") == BASELINE and result.get("epoch") != self._max_t
        return self.CONTINUE if is_spared else action

    def _decide(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """What becomes of a trial that has finished an epoch, now or before a resume."""
        action: str = super().on_trial_result(tune_controller, trial, result)
        return action


class Brackets(FIFOScheduler):
    """Several ASHA side by side, each of which compares its own trials only.

    Args:
        bracket_of: what names a trial's bracket, from its config.
        make: the bracket of a name.
    """

    def __init__(
        self, bracket_of: Callable[[dict[str, Any]], Hashable], make: Callable[[Any], ASHA]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._bracket_of = bracket_of
        self._make = make
        self._brackets: dict[Hashable, ASHA] = {}

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
        name = self._bracket_of(trial.config)
        if name not in self._brackets:
            self._brackets[name] = self._make(name)
        return self._brackets[name]


def brackets_within(path: str, make: Callable[[], ASHA]) -> Brackets:
    """A bracket for the trials of each option of a searched path."""

    def option_of(config: dict[str, Any]) -> str:
        overrides: list[str] = config["overrides"]
        return next(text for text in overrides if text.startswith(f"{path}="))

    return Brackets(option_of, lambda _option: make())


def hyperband(
    grace_epochs: int, keep_one_in: int, max_epochs: int, make: Callable[[int], ASHA]
) -> Brackets:
    """Asynchronous Hyperband; ``make`` gives the bracket that begins to stop at an epoch.

    Not Ray's ``HyperBandScheduler``. That one is synchronous: it pauses trials until a bracket is
    full, Tune counts paused trials as running, so that two at a time wait for ever for the third;
    and half a bracket cannot be made again from what a killed sweep left. Its brackets are kept,
    and the share of the trials that Li et al. 2018 give to each, n = ceil(B / (s + 1) * keep_one_in
    ** s) for the bracket of s rungs among B.
    """
    firsts = first_rungs(grace_epochs, keep_one_in, max_epochs)

    def first_of(config: dict[str, Any]) -> int:
        return firsts[bracket_of(config["number"], len(firsts), keep_one_in)]

    return Brackets(first_of, make)
