"""What a study file may write under ``scheduler:``, entry by entry, with every default.

Three kinds stop trials that fall behind; the fourth stops none and changes them while they train.
"""

from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Strict, Tag

from mhray.errors import did_you_mean
from mhray.tuning.schema import MARK, Section, has_one_kind, kind_of, written
from mhray.tuning.yaml_lines import Location


def _is_judge(by: str) -> str:
    judges = ("select", "heads")
    if by not in judges:
        raise ValueError(f"compares by nothing known: {written(by)}; {did_you_mean(by, judges)}")
    return by


class Asha(Section):
    """Asynchronous successive halving, Li et al. 2020 (arXiv 1810.05934).

    Attributes:
        grace_epochs (epochs): epochs that every trial gets.
        keep_one_in (trials): at each rung, one trial in so many goes on.
        within: a searched path with options: trials are compared with those of their option only.
            Early rungs otherwise pick the architecture that learns fastest, not the best one.
        by: select, or heads: a trial that is behind is stopped only if another one is as good on
            every head and better on one.
    """

    grace_epochs: Annotated[int, Field(ge=1)] = 1
    keep_one_in: Annotated[int, Field(ge=2)] = 3
    within: str | None = None
    by: Annotated[str, AfterValidator(_is_judge)] = "select"


class Median(Section):
    """The median stopping rule, Golovin et al. 2017 (Google Vizier), section 3.2.2.

    Attributes:
        grace_epochs (epochs): epochs that every trial gets, and that count for no average.
        min_trials (trials): other trials that must have come as far, or nothing is stopped.
    """

    grace_epochs: Annotated[int, Field(ge=1)] = 1
    min_trials: Annotated[int, Field(ge=1)] = 3


class Hyperband(Section):
    """Asynchronous Hyperband: brackets of ASHA that begin to stop at different epochs.

    Li et al. 2018 (arXiv 1603.06560) for the brackets and their shares of the trials, Li et al.
    2020 for their asynchronous form.

    Attributes:
        grace_epochs (epochs): epochs that every trial of the strictest bracket gets.
        keep_one_in (trials): at each rung, one trial in so many goes on.
    """

    grace_epochs: Annotated[int, Field(ge=1)] = 1
    keep_one_in: Annotated[int, Field(ge=2)] = 3


def _are_factors(raw: Any) -> Any:
    match raw:
        case [_, *_] | (_, *_):
            return raw
    raise ValueError(f"should be a list of factors, not {written(raw)}; write [0.8, 1.25]")


def _are_positive(factors: tuple[float, ...]) -> tuple[float, ...]:
    for factor in factors:
        if factor <= 0:
            raise ValueError(f"should hold factors above 0, not {factor:g}; write [0.8, 1.25]")
    return factors


def _is_half_at_most(share: float) -> float:
    if share > 1 / 2:
        raise ValueError(f"should be 0.5 or less, not {share:g}: nobody is best and worst at once")
    return share


class Pbt(Section):
    """Population-based training, Jaderberg et al. 2017 (arXiv 1711.09846), of loss weights.

    All trials of the study are one population. As in Royer et al. 2023 (arXiv 2310.08910) it is the
    ratios of loss weights that are perturbed.

    Attributes:
        every_epochs (epochs): how long all trials train before the worst take over from the best.
        quantile (share): the part of trials that count as the best, and as the worst.
        lr_factors (factors): one of them, drawn, multiplies the learning rate.
        log_ratio_step: the standard deviation of what is added to each weight's log-ratio.
        seed: of the draws.
    """

    every_epochs: Annotated[int, Field(ge=1)] = 2
    quantile: Annotated[float, Field(gt=0), AfterValidator(_is_half_at_most)] = 0.25
    lr_factors: Annotated[
        tuple[float, ...],
        Strict(False),
        AfterValidator(_are_positive),
        BeforeValidator(_are_factors),
    ] = (0.8, 1.25)
    log_ratio_step: Annotated[float, Field(gt=0)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 0


class AshaScheduler(Section):
    """Trials behind their peers are stopped."""

    asha: Asha


class MedianScheduler(Section):
    """Trials below the usual course of the others are stopped."""

    median: Median


class HyperbandScheduler(Section):
    """Trials behind their peers are stopped, in some brackets early, in others late or never."""

    hyperband: Hyperband


class PbtScheduler(Section):
    """Trials behind their peers go on from a better one's checkpoint, with other loss weights."""

    pbt: Pbt


_KINDS = ("asha", "median", "hyperband", "pbt")

Scheduler: TypeAlias = Annotated[
    Annotated[AshaScheduler, Tag(f"{MARK}asha")]
    | Annotated[MedianScheduler, Tag(f"{MARK}median")]
    | Annotated[HyperbandScheduler, Tag(f"{MARK}hyperband")]
    | Annotated[PbtScheduler, Tag(f"{MARK}pbt")],
    Discriminator(kind_of(*_KINDS)),
    has_one_kind(*_KINDS),
]


def first_decision(scheduler: Scheduler) -> tuple[Location, int]:
    """Where the study says when its scheduler first decides, and after how many epochs that is."""
    match scheduler:
        case AshaScheduler(asha=asha):
            return ("scheduler", "asha", "grace_epochs"), asha.grace_epochs
        case MedianScheduler(median=median):
            return ("scheduler", "median", "grace_epochs"), median.grace_epochs
        case HyperbandScheduler(hyperband=hyperband):
            return ("scheduler", "hyperband", "grace_epochs"), hyperband.grace_epochs
        case PbtScheduler(pbt=pbt):
            return ("scheduler", "pbt", "every_epochs"), pbt.every_epochs
