"""Ways in which the rest of a study may go: how many epochs its trials train, and for how long.

Trials that stop early make a sweep's length a matter of luck. So it is played out a number of
times: places are filled, rungs are come to, and who is stopped there is drawn with the chances that
the scheduler gives to trials of which none is better than others. Trials that get better as the
search learns pass more rungs than that.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil
from random import Random

from mhray.tuning.candidates import range_of_runs
from mhray.tuning.record import BASELINE, TrialRecord
from mhray.tuning.rungs import chance_to_go_on, rungs_of
from mhray.tuning.scheduler_kinds import AshaScheduler, HyperbandScheduler, MedianScheduler
from mhray.tuning.space import format_override
from mhray.tuning.study import Study


@dataclass(frozen=True)
class Course:
    """One way for the rest of a study to go.

    Attributes:
        epochs: that all trials still train.
        length: from now to the end, in epochs of one trial.
    """

    epochs: float
    length: float


@dataclass(frozen=True)
class Reached:
    """Where a trial stands.

    Attributes:
        overrides: of its run.
        epoch: the last one that it has finished.
        has_ended: whether it trains no further.
    """

    number: int
    overrides: tuple[str, ...]
    epoch: int
    has_ended: bool

    @classmethod
    def of(cls, record: TrialRecord) -> "Reached":
        """Where the journal has a trial."""
        epoch = record.epochs[-1].epoch if record.epochs else 0
        return cls(record.number, record.overrides, epoch, record.state != "RUNNING")


def courses(
    study: Study,
    max_epochs: int,
    places: int,
    trials: Iterable[Reached] = (),
    *,
    lead: float = 0.0,
    count: int = 100,
    confirmed: int = 0,
) -> list[Course]:
    """Ways for a study to go on from where its trials stand; the same ones for the same trials.

    Args:
        study: whose budget and scheduler these are.
        max_epochs: the epoch at which a trial is complete.
        places: how many trials train at a time.
        trials: those that were drawn so far.
        lead: what a trial takes before its first epoch, in epochs.
        count: how many ways.
        confirmed: epochs that confirmation runs have trained.
    """
    random, known = Random(0), list(trials)  # noqa: S311  nobody guesses these for gain
    ways = []
    for _ in range(count):
        searched = _Play(study, max_epochs, known, random).course(places, lead)
        runs = _missing_runs(study, confirmed / max_epochs, random)
        length = ceil(runs / places) * (max_epochs + lead)
        ways.append(Course(searched.epochs + runs * max_epochs, searched.length + length))
    return ways


def _missing_runs(study: Study, trained: float, random: Random) -> float:
    """How many runs the confirmation still takes: any number between its least and its most."""
    if study.confirm is None:
        return 0.0
    return max(0.0, random.randint(*range_of_runs(study, study.confirm)) - trained)


class _Play:
    """One way for the rest of a study to go, played out."""

    def __init__(
        self, study: Study, max_epochs: int, trials: Sequence[Reached], random: Random
    ) -> None:
        self._study = study
        self._max_epochs = max_epochs
        self._random = random
        self._options = tuple(study.search[study.within].options()) if study.within else ()
        # By the median rule, or of those behind by ASHA with heads, of which nothing is known.
        self._share_stopped = random.random()
        self._seen: Counter[tuple[Hashable, int]] = Counter()
        for trial in trials:
            for rung in self._rungs(trial):
                self._seen[self._bracket(trial), rung] += rung <= trial.epoch
        self._waiting = self._unfinished(trials)
        self._running: list[tuple[float, int, Iterator[int]]] = []

    def course(self, places: int, lead: float) -> Course:
        now = epochs = 0.0
        for _ in range(places):
            self._begin(0.0, lead)
        while self._running:
            now, number, stages = heappop(self._running)
            if stage := next(stages, 0):
                epochs += stage
                heappush(self._running, (now + stage, number, stages))
            else:
                self._begin(now, lead)
        return Course(epochs, now)

    def _begin(self, now: float, lead: float) -> None:
        if (trial := next(self._waiting, None)) is not None:
            at = now if trial.epoch else now + lead
            heappush(self._running, (at, trial.number, self._stages(trial)))

    def _unfinished(self, trials: Sequence[Reached]) -> Iterator[Reached]:
        """The trials that stand, then those that are still to be drawn."""
        standing = [trial for trial in trials if not trial.has_ended]
        yield from standing
        first = 1 + max((trial.number for trial in trials), default=-1)
        missing = self._study.budget.trials - len(trials)
        for number in range(first, first + missing):
            yield Reached(number, self._an_option(), 0, has_ended=False)

    def _an_option(self) -> tuple[str, ...]:
        if not self._options:
            return ()
        return (format_override(str(self._study.within), self._random.choice(self._options)),)

    def _stages(self, trial: Reached) -> Iterator[int]:
        """Epochs from rung to rung, until the trial ends."""
        reached = trial.epoch
        for rung in self._rungs(trial):
            if rung > reached:
                yield rung - reached
                reached = rung
                if not self._passes(trial, rung):
                    return

    def _rungs(self, trial: Reached) -> list[int]:
        return rungs_of(self._study.scheduler, trial.number, self._max_epochs)

    def _passes(self, trial: Reached, rung: int) -> bool:
        place = (self._bracket(trial), rung)
        seen = self._seen[place]
        self._seen[place] += 1
        return trial.number == BASELINE or self._random.random() < self._chance(seen)

    def _chance(self, seen: int) -> float:
        match self._study.scheduler:
            case AshaScheduler(asha=rule) if rule.by == "heads":
                behind = 1 - chance_to_go_on(seen, rule.keep_one_in)
                return 1 - behind * self._share_stopped
            case AshaScheduler(asha=rule):
                return chance_to_go_on(seen, rule.keep_one_in)
            case HyperbandScheduler(hyperband=rule):
                return chance_to_go_on(seen, rule.keep_one_in)
            case MedianScheduler(median=rule):
                return 1.0 if seen < rule.min_trials else 1 - self._share_stopped
        return 1.0

    def _bracket(self, trial: Reached) -> Hashable:
        """What a trial is compared within."""
        match self._study.scheduler:
            case AshaScheduler(asha=rule) if rule.within is not None:
                start = f"{rule.within}="
                return next((text for text in trial.overrides if text.startswith(start)), None)
            case HyperbandScheduler():
                return self._rungs(trial)[0]
        return None
