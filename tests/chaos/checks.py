"""What must hold after an attack: each check gives what is wrong, in words, or nothing."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.records import Recorded, Told

METRIC = "val/acc_mean"


@dataclass(frozen=True)
class Aftermath:
    """All that is known once the attacked sweep has come to its end.

    Attributes:
        before: the storage right after each kill.
        after: the storage at the end.
        runs: of MLflow, at the end.
        reference: of MLflow, of the sweep that nobody attacked.
        planned: how many trials there should be.
        epochs: of each trial.
        saved: how many epochs were trained to their end, by trial.
        kills: how many there were.
        code: how the last start ended; None: it had to be ended.
        strays: processes that still lived, by name.
        memory: files left in shared memory.
        study_runs: how many runs MLflow should have besides those of trials.
    """

    before: Sequence[Sequence[Told]]
    after: Sequence[Told]
    runs: Sequence[Recorded]
    reference: Sequence[Recorded]
    planned: int
    epochs: int
    saved: dict[str, int]
    kills: int
    code: int | None
    strays: Sequence[str] = ()
    memory: Sequence[str] = ()
    study_runs: int = 1


def finished_trials_are_kept(seen: Aftermath) -> Iterator[str]:
    """None lost, none changed, none run again."""
    after = {trial.number: trial for trial in seen.after}
    for trial in (trial for before in seen.before for trial in before if trial.has_ended):
        if trial.number not in after:
            yield f"trial {trial.number} is lost"
        elif after[trial.number] != trial:
            yield f"trial {trial.number} was {trial}, is {after[trial.number]}"


def running_trials_stay_themselves(seen: Aftermath) -> Iterator[str]:
    """A trial that goes on has the number, the overrides and the seed that it had."""
    after = {trial.number: (trial.overrides, trial.seed, trial.params) for trial in seen.after}
    for trial in (trial for before in seen.before for trial in before if trial.overrides):
        if after.get(trial.number) != (trial.overrides, trial.seed, trial.params):
            yield f"trial {trial.number} went on as another"


def count_is_exact(seen: Aftermath) -> Iterator[str]:
    """As many trials as planned, all complete, no number twice or left out."""
    states = Counter(trial.state for trial in seen.after)
    if states != {"COMPLETE": seen.planned}:
        yield f"{seen.planned} complete trials were planned, there are {dict(states)}"
    numbers = sorted(trial.number for trial in seen.after)
    if numbers != list(range(seen.planned)):
        yield f"the trials have the numbers {numbers}"
    if len({trial.overrides for trial in seen.after}) < len(seen.after):
        yield "two trials have the same overrides"


def few_epochs_are_repeated(seen: Aftermath) -> Iterator[str]:
    """At most one for each kill of a running trial."""
    for trial, saved in seen.saved.items():
        if saved > seen.epochs + seen.kills:
            yield f"trial {trial} trained {saved} epochs where {seen.epochs} were asked for"


def metrics_are_those_of_a_quiet_sweep(seen: Aftermath) -> Iterator[str]:
    """Every metric of every epoch, bit for bit, in however many runs a trial has them."""
    reference, attacked = _curves(seen.reference), _curves(seen.runs)
    for number, curves in attacked.items():
        quiet = reference.get(number, {})
        unlike = [name for name in sorted({*quiet, *curves}) if quiet.get(name) != curves.get(name)]
        if unlike:
            name = unlike[0]
            found, expected = curves.get(name), quiet.get(name)
            yield f"trial {number}: {len(unlike)} metrics differ; {name} {found} not {expected}"


def _curves(runs: Sequence[Recorded]) -> dict[int, dict[str, list[tuple[int, float]]]]:
    """Epochs and values by trial and metric."""
    points: dict[int, dict[str, set[tuple[int, float]]]] = {}
    for run in (run for run in runs if run.number >= 0):
        for name, curve in run.epochs.items():
            points.setdefault(run.number, {}).setdefault(name, set()).update(curve)
    return {
        number: {name: sorted(found) for name, found in curves.items()}
        for number, curves in points.items()
    }


def mlflow_agrees(seen: Aftermath) -> Iterator[str]:
    """One finished run for each complete trial, with the journal's values; none is RUNNING."""
    for status in (run.status for run in seen.runs if run.status != "FINISHED"):
        yield f"MLflow has a run that is {status}"
    for trial in seen.after:
        runs = [run for run in seen.runs if run.number == trial.number]
        if len(runs) != 1:
            yield f"trial {trial.number} has {len(runs)} runs in MLflow"
            continue
        history = runs[0].epochs.get(METRIC, ())
        best = max((value for _, value in history), default=None)
        if best != trial.value or len(history) != len(trial.best_by_epoch):
            yield f"trial {trial.number} has {trial.value} in the journal, {history} in MLflow"
        if runs[0].doubled:
            yield f"trial {trial.number} has two values of one epoch: {runs[0].doubled}"
    own = sum(run.number < 0 for run in seen.runs)
    if own != seen.study_runs:
        yield f"the study has {own} runs of its own, not {seen.study_runs}"


def command_ends_well(seen: Aftermath) -> Iterator[str]:
    """The last start says that the study is complete."""
    if seen.code != 0:
        yield f"the last start ended with {seen.code}"


def nothing_is_left(seen: Aftermath) -> Iterator[str]:
    """No process, no shared memory."""
    if seen.strays:
        yield f"processes still live: {', '.join(seen.strays)}"
    if seen.memory:
        yield f"shared memory is left: {', '.join(seen.memory)}"


CHECKS = (
    finished_trials_are_kept,
    running_trials_stay_themselves,
    count_is_exact,
    few_epochs_are_repeated,
    metrics_are_those_of_a_quiet_sweep,
    mlflow_agrees,
    command_ends_well,
    nothing_is_left,
)


def problems(seen: Aftermath) -> dict[str, list[str]]:
    """What each check finds wrong, by its name."""
    return {check.__name__: list(check(seen)) for check in CHECKS}
