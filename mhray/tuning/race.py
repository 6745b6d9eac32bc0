"""Which candidates a confirmation goes on with, and what can be said of them.

All candidates are trained with the same fresh seeds, so a layout of candidates by seeds is filled
row by row of seeds. After each row from the least number on, those that are clearly behind the
leader drop out. Everything here is a function of the values, so a race that was cut off goes on as
it would have.

An interval is a paired one: the mean difference over the seeds of both, with Student's t. Its
error is that of the whole layout, the residual of candidates plus seeds (a randomised block design,
Fisher 1935), since two to five differences alone say next to nothing of their own scatter; where
the pair itself scatters more than that, its own counts. Of the 5 % of wrong words that a result may
have, one is spent on dropping candidates, over all pairs and all looks, as in the t races of irace
(Lopez-Ibanez et al. 2016) with Bonferroni's correction, which they leave out; four on what is said
in the end.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import mean, median, stdev

import numpy as np
from scipy.special import stdtrit

from mhray.tuning.comparison import Interval

DROPPING = 0.01
SAYING = 0.04


@dataclass(frozen=True)
class Rules:
    """How long a race goes on.

    Attributes:
        least: seeds before the first candidate may drop out.
        most: seeds at most.
        more_is_better: whether the largest value wins.
    """

    least: int
    most: int
    more_is_better: bool = True

    @property
    def sign(self) -> int:
        """What makes the larger value the better one."""
        return 1 if self.more_is_better else -1

    @property
    def looks(self) -> int:
        """How often candidates may drop out."""
        return self.most - self.least + 1


@dataclass(frozen=True)
class Layout:
    """What candidates reached with which seeds.

    Attributes:
        values: by candidate and by place of the seed in their order, from 0.
    """

    values: Mapping[str, Mapping[int, float]]

    def up_to(self, seeds: int) -> "Layout":
        """The same before later seeds were trained."""
        return Layout(
            {
                name: {place: value for place, value in row.items() if place < seeds}
                for name, row in self.values.items()
            }
        )

    def of(self, names: Sequence[str]) -> "Layout":
        """The same of some candidates."""
        return Layout({name: self.values.get(name, {}) for name in names})

    def median(self, name: str) -> float:
        """A candidate's median over its seeds."""
        return median(self.values[name].values())

    def difference(self, name: str, other: str, error_rate: float) -> Interval | None:
        """How much more one has than another over the seeds of both, at a two-sided error rate.

        None if they share none; infinitely wide as long as nothing shows how values scatter.

        >>> table = {"a": {0: 3.0, 1: 4.0}, "b": {0: 1.0, 1: 2.0}, "c": {0: 1.0, 1: 2.5}}
        >>> f"{Layout(table).difference('a', 'b', 0.05):.2f}"
        '2.00 ± 0.88'
        """
        mine, others = self.values[name], self.values[other]
        differences = [mine[place] - others[place] for place in sorted(mine.keys() & others.keys())]
        if not differences:
            return None
        variance, freedom = self._residual
        if not freedom:
            return Interval(mean(differences), math.inf)
        count = len(differences)
        own = stdev(differences) / math.sqrt(count) if count > 1 else 0.0
        error = max(own, math.sqrt(2 * variance / count))
        return Interval(mean(differences), float(stdtrit(freedom, 1 - error_rate / 2)) * error)

    @cached_property
    def _residual(self) -> tuple[float, int]:
        """Variance of a value about candidate plus seed, and its degrees of freedom."""
        cells = [
            (row, place, value)
            for row, places in enumerate(self.values.values())
            for place, value in places.items()
        ]
        rows, places, values = (np.array(column) for column in zip(*cells, strict=True))
        design = np.zeros((len(cells), len(self.values) + int(places.max()) + 1))
        design[np.arange(len(cells)), rows] = 1
        design[np.arange(len(cells)), len(self.values) + places] = 1
        fitted, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
        freedom = len(cells) - int(rank)
        squares = float(np.sum((values - design @ fitted) ** 2))
        return (squares / freedom if freedom else 0.0), freedom


@dataclass(frozen=True)
class Stand:
    """Where a race stands.

    Attributes:
        entered: the candidates that have taken part, in the order in which they came in.
        dropped: those that dropped out, with how many seeds each had then.
        leader: of those that go on the one with the best median; empty before the first look.
        seeds: how many each of those has, or must have next.
        missing: what must be trained before the next look: candidate, and place of the seed.
    """

    entered: tuple[str, ...]
    dropped: Mapping[str, int]
    leader: str
    seeds: int
    missing: tuple[tuple[str, int], ...]

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be trained."""
        return not self.missing

    @property
    def going_on(self) -> tuple[str, ...]:
        """The candidates that are not clearly behind."""
        return tuple(name for name in self.entered if name not in self.dropped)


def stand(
    candidates: Sequence[str], twins: Mapping[str, str], layout: Layout, rules: Rules
) -> Stand:
    """Where a race stands, by the values that there are.

    Args:
        candidates: that take part from the beginning, the favourite first; those that cannot be
            trained are not among them.
        twins: by candidate, the one that it is to be compared with. That of the favourite takes
            part from the beginning, that of another one as soon as it leads.
        layout: what is known.
        rules: of the race.
    """
    favourites = [twins[name] for name in candidates[:1] if name in twins]
    entered = tuple(dict.fromkeys((*candidates, *favourites)))
    now = Stand(entered, {}, "", rules.least, ())
    for seeds in range(rules.least, rules.most + 1):
        now = _with_leader(replace(now, seeds=seeds), twins, layout, rules)
        if now.missing:
            return now
        now = _without_those_behind(now, layout, rules)
        if len(now.going_on) == 1:
            return now
    return now


def pairs(count: int) -> int:
    """In how many ways two of so many can be compared.

    >>> pairs(5)
    10
    """
    return count * (count - 1) // 2


def _with_leader(now: Stand, twins: Mapping[str, str], layout: Layout, rules: Rules) -> Stand:
    """The same with whoever leads, and its twin, or with what is missing to know that."""
    while True:
        missing = [
            (name, place)
            for place in range(now.seeds)
            for name in now.going_on
            if place not in layout.values.get(name, {})
        ]
        if missing or not now.entered:
            return replace(now, missing=tuple(missing))
        known = layout.up_to(now.seeds)
        leader = max(now.going_on, key=lambda name: rules.sign * known.median(name))
        now = replace(now, leader=leader)
        if twins.get(leader, leader) in now.entered:
            return now
        now = replace(now, entered=(*now.entered, twins[leader]))


def _without_those_behind(now: Stand, layout: Layout, rules: Rules) -> Stand:
    known = layout.of(now.entered).up_to(now.seeds)
    error_rate = DROPPING / max(1, pairs(len(now.entered))) / rules.looks
    behind = {
        name: now.seeds
        for name in now.going_on
        if name != now.leader
        and (ahead := known.difference(now.leader, name, error_rate)) is not None
        and rules.sign * ahead.mean > ahead.half
    }
    return replace(now, dropped={**now.dropped, **behind})
