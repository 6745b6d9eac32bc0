"""Who is confirmed: the best trials, trial 0, and of each what it is at equal loss weights.

That a weighting is worth anything shows against the same overrides at equal weights alone: trial 0
has another learning rate, and another network may be. Equal are the weights that were drawn, at
their mean, since their sum is a learning rate in disguise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from mhray.training.changes import Change, changes_override
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.distributions import LOSS_WEIGHTS
from mhray.tuning.ranking import heads_of, ranked
from mhray.tuning.record import BASELINE, TrialRecord
from mhray.tuning.rules import weighing_paths
from mhray.tuning.space import format_override
from mhray.tuning.study import Study

WEIGHTING, EQUAL = "weighting", "equal"
_SETTINGS = ("changes=", f"{LOSS_WEIGHTS}.", f"{WEIGHTING}=", f"model.{WEIGHTING}.")
SEED = "seed="


@dataclass(frozen=True)
class Candidate:
    """What is trained with fresh seeds.

    Attributes:
        name: as it is said, such as `trial 7` or `trial 7 at equal weights`.
        number: of the trial that it is, or whose overrides it has.
        overrides: without a seed.
    """

    name: str
    number: int
    overrides: tuple[str, ...]

    def with_seed(self, seed: int) -> tuple[str, ...]:
        """What is typed after ``python -m mhray.train`` for one of its runs."""
        return (*self.overrides, f"{SEED}{seed}")


@dataclass(frozen=True)
class Candidates:
    """Who is confirmed.

    Attributes:
        trials: the best first, trial 0 the last if it is none of them.
        twins: by the name of each, the same at equal weights; none where no weights are searched.
    """

    trials: tuple[Candidate, ...]
    twins: Mapping[str, Candidate]

    @property
    def all(self) -> dict[str, Candidate]:
        """Every candidate by its name."""
        return {each.name: each for each in (*self.twins.values(), *self.trials)}


def candidates_of(study: Study, confirm: Confirm, records: Sequence[TrialRecord]) -> Candidates:
    """The candidates of a study whose search has ended; none if no trial is complete."""
    best = ranked(records, study.selection)
    wanted = [*best[: confirm.top], *(record for record in best if record.number == BASELINE)]
    distinct: dict[tuple[str, ...], Candidate] = {}
    for record in wanted:
        distinct.setdefault(_without_seed(record), _candidate(record))
    twins: dict[str, Candidate] = {}
    for record in wanted if weighing_paths(study) else ():
        original, twin = distinct[_without_seed(record)], _twin(record)
        if original.overrides != twin.overrides:
            # Trials may share one, as trial 0 is that of all where weights alone are searched.
            twins[original.name] = distinct.get(twin.overrides, twin)
    return Candidates(tuple(distinct.values()), twins)


def range_of_runs(study: Study, confirm: Confirm) -> tuple[int, int]:
    """How many runs a confirmation of a study has at least and, but for late leaders, at most."""
    trials = min(confirm.top + 1, study.budget.trials)
    candidates = trials + bool(weighing_paths(study))
    return confirm.seeds * candidates, confirm.max_seeds * candidates


def at_equal_weights(
    overrides: Sequence[str], heads: int, changes: Sequence[Change] = ()
) -> tuple[str, ...]:
    """The same overrides, whichever way they share the gradient, at equal loss weights.

    >>> at_equal_weights(["a=1", "model.loss_weights.left=2.5", "model.loss_weights.right=0.5"], 2)
    ('a=1', 'model.loss_weights.left=1.5', 'model.loss_weights.right=1.5')
    >>> at_equal_weights(["weighting=dwa", "model.weighting.temperature=2.0", "a=1"], 2)
    ('weighting=equal', 'a=1')
    """
    if any(text.startswith(f"{WEIGHTING}=") for text in overrides):
        return tuple(_under_equal_weighting(overrides))
    weights = {
        path: float(value)
        for path, _, value in (text.partition("=") for text in overrides)
        if path.startswith(f"{LOSS_WEIGHTS}.")
    }
    # Weights of some heads alone are equal to those that are not written, which are 1.
    equal = float(f"{fsum(weights.values()) / heads:.9g}") if len(weights) == heads else 1.0
    rates = [kept for change in changes if (kept := _without_weights(change)).overrides]
    own = [
        format_override(path, equal) if (path := text.partition("=")[0]) in weights else text
        for text in overrides
        if not text.startswith("changes=")
    ]
    return (*own, *([changes_override(rates)] if rates else []))


def _under_equal_weighting(overrides: Sequence[str]) -> Iterator[str]:
    for text in overrides:
        if text.startswith(f"{WEIGHTING}="):
            yield f"{WEIGHTING}={EQUAL}"
        elif not text.startswith(_SETTINGS):
            yield text


def _without_weights(change: Change) -> Change:
    kept = (text for text in change.overrides if not text.startswith(f"{LOSS_WEIGHTS}."))
    return Change(change.epoch, tuple(kept))


def _candidate(record: TrialRecord) -> Candidate:
    return Candidate(f"trial {record.number}", record.number, _without_seed(record))


def _twin(record: TrialRecord) -> Candidate:
    changes = record.takeovers[-1].changes if record.takeovers else ()
    overrides = at_equal_weights(_without_seed(record), heads_of(record), changes)
    return Candidate(f"trial {record.number} at equal weights", record.number, overrides)


def _without_seed(record: TrialRecord) -> tuple[str, ...]:
    return tuple(text for text in record.overrides if not text.startswith(SEED))
