"""What a confirmation found, in sentences that say no more than its seeds do.

All intervals of a result hold together in 19 of 20 sweeps: the error that may remain is shared out
between all pairs of candidates and all metrics on which one is compared with itself at equal
weights. A difference whose interval holds zero is said to be none that can be told.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from mhray.training.selection import sensible_mode
from mhray.tuning.comparison import Interval
from mhray.tuning.confirmation import Confirmation
from mhray.tuning.race import SAYING, pairs
from mhray.tuning.ranking import value_of


@dataclass(frozen=True)
class Effect:
    """What loss weights do to a metric, against the same overrides at equal weights.

    Attributes:
        metric: its name on the validation split.
        word: for it.
        gain: how much better it is; of accuracies in points.
        unit: of the gain, as it is said after it.
    """

    metric: str
    word: str
    gain: Interval
    unit: str


@dataclass(frozen=True)
class Verdict:
    """The result of a confirmation that is over and has a winner.

    Attributes:
        state: the confirmation.
        shown: metrics without their split, and a word for each.
        written: how a value of the study's metric is written.
    """

    state: Confirmation
    shown: Mapping[str, str]
    written: Callable[[float], str] = "{:.4f}".format

    @property
    def error_rate(self) -> float:
        """Of each single interval."""
        race, twins = self.state.race, self.state.candidates.twins.values()
        entered = sum(name in race.entered for name in {twin.name for twin in twins})
        return SAYING / max(1, pairs(len(race.entered)) + entered * len(self.shown))

    def ahead_of(self, name: str) -> Interval:
        """How much better the winner is than another candidate, by the study's metric."""
        return self._gain(self.state.race.leader, name, self.state.study.select.metric)

    def tied(self) -> list[str]:
        """The candidates that cannot be told from the winner, that one first."""
        race = self.state.race
        others = [name for name in race.going_on if name != race.leader]
        return [race.leader, *(name for name in others if not self.ahead_of(name).is_off_zero)]

    def weighed(self) -> tuple[str, str] | None:
        """The pair that says what weights are worth: weighted, equal. It holds the winner."""
        race, twins = self.state.race, self.state.candidates.twins
        medians = self.state.layout(self.state.study.select.metric)
        sign = 1 if self.state.study.select.mode == "max" else -1
        found = [
            (name, twin.name)
            for name, twin in twins.items()
            if race.leader in (name, twin.name) and {name, twin.name} <= set(race.entered)
        ]
        # Several trials may have the same twin, and that be the winner.
        return max(found, key=lambda pair: sign * medians.median(pair[0]), default=None)

    def effects(self) -> list[Effect]:
        """What the weights of the weighed pair do to each metric; nothing without a pair."""
        pair = self.weighed()
        return [] if pair is None else [self._effect(*pair, name) for name in self._compared()]

    def sentences(self) -> list[str]:
        """The result, a sentence each."""
        return [
            *self._who(),
            *self._against_others(),
            *self._on_weights(),
            *self._flattery(),
            *(f"{name} failed with a fresh seed, and is out" for name in self.state.failed),
        ]

    def answer(self) -> list[str]:
        """Who won, and what weights are worth; the rest of :meth:`sentences` is detail."""
        return [*self._who(), *self._on_weights()]

    def table(self) -> Table:
        """The candidates, and what each reached with its fresh seeds."""
        metric = self.state.study.select.metric
        table = Table(title=f"confirmation: {metric} over fresh seeds", title_justify="left")
        (first, *numbers, last), rows = self.cells()
        table.add_column(first)
        for name in numbers:
            table.add_column(name, justify="right")
        table.add_column(last)
        for row in rows:
            table.add_row(*row)
        return table

    def cells(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """The header and the rows of that table."""
        header = ("candidate", "searched", "median", "lowest", "highest", "seeds")
        layout = self.state.layout(self.state.study.select.metric)
        rows = []
        for name in sorted(self.state.race.entered, key=self._order):
            values = list(layout.values[name].values())
            reached = [layout.median(name), min(values), max(values)]
            searched = self._searched(name)
            found = "-" if searched is None else self.written(searched)
            cells = [found, *map(self.written, reached)]
            rows.append((name, *cells, str(len(values)), self._beside(name)))
        return (*header, "beside the winner"), tuple(rows)

    def _compared(self) -> list[str]:
        """The shown metrics that every run has: a trial may leave out a head."""
        rows = [run.epochs[-1].metrics for run in self.state.run_of.values() if run.epochs]
        return [name for name in self.shown if all(f"val/{name}" in row for row in rows)]

    def _who(self) -> Iterator[str]:
        metric = self.state.study.select.metric
        layout, winner, tied = self.state.layout(metric), self.state.race.leader, self.tied()
        seeds = len(layout.values[winner])
        found = f"median {self.written(layout.median(winner))} over {seeds} fresh seeds"
        if len(tied) > 1:
            yield f"{_listed(tied)} cannot be told apart on {metric}"
            yield f"{winner} has the best {found}"
        else:
            yield f"{winner} is the best of {len(self.state.race.entered)}, with the {found}"

    def _against_others(self) -> Iterator[str]:
        tied, pair, winner = self.tied(), self.weighed() or (), self.state.race.leader
        for name in self.state.race.entered:
            if name not in (*tied, *pair):
                yield f"{winner} beats {name} by {self._said(name)}"

    def _on_weights(self) -> Iterator[str]:
        pair = self.weighed()
        if pair is None:
            return
        weighted, equal = pair
        effects = self.effects()
        more = [f"{e.word} by {e.gain:.{_digits(e)}f}{e.unit}" for e in effects if _is_gain(e)]
        less = [f"{e.word} {_loss(e):.{_digits(e)}f}{e.unit}" for e in effects if _is_loss(e)]
        rest = [
            f"{e.word} {e.gain:+.{_digits(e)}f}{e.unit}"
            for e in effects
            if not (_is_gain(e) or _is_loss(e))
        ]
        seeds = self._common_seeds(weighted, equal)
        parts = [f"beats equal weights on {_listed(more)}"] if more else []
        parts += [f"costs {_listed(less)}"] if less else []
        said = " and ".join(parts) or "cannot be told from equal weights on any head"
        unsure = f"; {_listed(rest)} may be none" if rest else ""
        yield f"{weighted} {said} ({seeds} seeds, the same overrides){unsure}"

    def _flattery(self) -> Iterator[str]:
        winner = self.state.race.leader
        searched = self._searched(winner)
        if searched is not None:
            median = self.state.layout(self.state.study.select.metric).median(winner)
            had, have = self.written(searched), self.written(median)
            yield f"the search had {had} for {winner}, its fresh seeds have {have}"

    def _searched(self, name: str) -> float | None:
        """What the search had of a candidate that is one of its trials."""
        if name not in [each.name for each in self.state.candidates.trials]:
            return None
        number = self.state.candidates.all[name].number
        record = next(record for record in self.state.trials if record.number == number)
        return value_of(record, self.state.study.selection)

    def _beside(self, name: str) -> str:
        if name == self.state.race.leader:
            return "the winner"
        behind = f"{self._said(name)} behind"
        if name in self.state.race.dropped:
            return f"{behind}, dropped out"
        return "not told apart" if name in self.tied() else behind

    def _said(self, name: str) -> str:
        effect = self._effect(self.state.race.leader, name, _short(self.state.study.select.metric))
        return f"{effect.gain:.{_digits(effect)}f}{effect.unit}"

    def _effect(self, name: str, other: str, short: str) -> Effect:
        metric = f"val/{short}"
        gain = self._gain(name, other, metric)
        if _is_accuracy(metric):
            points = Interval(100 * gain.mean, 100 * gain.half)
            return Effect(metric, self.shown.get(short, short), points, " points")
        return Effect(metric, self.shown.get(short, short), gain, "")

    def _gain(self, name: str, other: str, metric: str) -> Interval:
        layout = self.state.layout(metric).of(self.state.race.entered)
        found = layout.difference(name, other, self.error_rate)
        goal = self.state.study.select
        mode = goal.mode if metric == goal.metric else sensible_mode(metric) or "max"
        if found is None:
            raise LookupError(f"{name} and {other} share no seed")
        return found if mode == "max" else Interval(-found.mean, found.half)

    def _common_seeds(self, name: str, other: str) -> int:
        values = self.state.layout(self.state.study.select.metric).values
        return len(values[name].keys() & values[other].keys())

    def _order(self, name: str) -> tuple[bool, float]:
        goal = self.state.study.select
        median = self.state.layout(goal.metric).median(name)
        return name != self.state.race.leader, -median if goal.mode == "max" else median


def _is_gain(effect: Effect) -> bool:
    return effect.gain.is_off_zero and effect.gain.mean > 0


def _is_loss(effect: Effect) -> bool:
    return effect.gain.is_off_zero and effect.gain.mean < 0


def _loss(effect: Effect) -> Interval:
    return Interval(-effect.gain.mean, effect.gain.half)


def _digits(effect: Effect) -> int:
    return 1 if effect.unit else 4


def _is_accuracy(metric: str) -> bool:
    """Whether a metric is a share, which is said in points.

    >>> [_is_accuracy(f"val/{name}") for name in ("left_acc", "acc_mean", "left_mae", "loss")]
    [True, True, False, False]
    """
    return bool(re.search(r"(_acc|/acc_mean)$", metric))


def _short(metric: str) -> str:
    return metric.removeprefix("val/")


def _listed(names: Sequence[str]) -> str:
    """Names as one says them.

    >>> _listed(["trial 17", "trial 4", "trial 9"]), _listed(["trial 17"])
    ('trial 17, trial 4 and trial 9', 'trial 17')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
