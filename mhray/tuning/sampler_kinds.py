"""What a study file may write under ``sampler:``, entry by entry, with every default.

Seven kinds of choosing the next trial. One goes through a grid, two look at no other trial, four
learn from those that trained to the end.
"""

from typing import Annotated, TypeAlias

from pydantic import Discriminator, Field, Strict, Tag

from mhray.tuning.schema import MARK, Section, has_one_kind, kind_of
from mhray.tuning.space import OverridePath

Seed: TypeAlias = Annotated[int, Field(ge=0)]


class Tpe(Section):
    """The tree-structured Parzen estimator, Watanabe 2023 (arXiv 2304.11127).

    Attributes:
        startup_trials (trials): random ones before the first that is estimated.
        seed: of the draws.
    """

    startup_trials: Annotated[int, Field(ge=0)] = 10
    seed: Seed = 0


class Random(Section):
    """Independent random draws.

    Attributes:
        seed: of the draws.
    """

    seed: Seed = 0


class Qmc(Section):
    """A scrambled Sobol' sequence: draws that fill the space more evenly than chance.

    Bergstra and Bengio 2012, section 4.

    Attributes:
        seed: of the scrambling.
    """

    seed: Seed = 0


class Cmaes(Section):
    """CMA-ES, Hansen 2016 (arXiv 1604.00772), over all ranges; choices are drawn at random.

    Attributes:
        seed: of the draws.
    """

    seed: Seed = 0


class Gp(Section):
    """A Gaussian process and its expected improvement, as Optuna has them.

    Attributes:
        startup_trials (trials): those that must be complete before the first that is modelled.
        seed: of the draws.
    """

    startup_trials: Annotated[int, Field(ge=1)] = 10
    seed: Seed = 0


class Nsga2(Section):
    """NSGA-II, Deb et al. 2002: trials are bred from those that no other is better than.

    Attributes:
        population (trials): complete ones of a generation; the first one is drawn at random.
        seed: of the draws.
    """

    population: Annotated[int, Field(ge=2)] = 16
    seed: Seed = 0


class Grid(Section):
    """Every combination of what is searched, once with each seed.

    Attributes:
        seeds: of the runs; empty: all have the run's own.
        tune: the searched paths of which each row gets its best; all others make up the rows.
    """

    seeds: Annotated[tuple[Seed, ...], Strict(False)] = ()
    tune: Annotated[tuple[OverridePath, ...], Strict(False)] = ()


class TpeSampler(Section):
    """The next trial is estimated from the finished ones."""

    tpe: Tpe


class RandomSampler(Section):
    """The next trial depends on no other."""

    random: Random


class QmcSampler(Section):
    """The next trial lies where the trials before it left room."""

    qmc: Qmc


class CmaesSampler(Section):
    """The next trial comes from a normal distribution that moves to where trials were good."""

    cmaes: Cmaes


class GpSampler(Section):
    """The next trial is where a model of the complete ones expects most."""

    gp: Gp


class Nsga2Sampler(Section):
    """The next trial is a child of two of the best in several objectives."""

    nsga2: Nsga2


class GridSampler(Section):
    """The next trial has what no trial before it had."""

    grid: Grid


_KINDS = ("tpe", "random", "qmc", "cmaes", "gp", "nsga2", "grid")

Sampler: TypeAlias = Annotated[
    Annotated[TpeSampler, Tag(f"{MARK}tpe")]
    | Annotated[RandomSampler, Tag(f"{MARK}random")]
    | Annotated[QmcSampler, Tag(f"{MARK}qmc")]
    | Annotated[CmaesSampler, Tag(f"{MARK}cmaes")]
    | Annotated[GpSampler, Tag(f"{MARK}gp")]
    | Annotated[Nsga2Sampler, Tag(f"{MARK}nsga2")]
    | Annotated[GridSampler, Tag(f"{MARK}grid")],
    Discriminator(kind_of(*_KINDS)),
    has_one_kind(*_KINDS),
]
