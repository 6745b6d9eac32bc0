"""How much each searched quantity matters for each head: PED-ANOVA, and what chance alone gives.

Watanabe et al. 2023, "PED-ANOVA", as Optuna has it: a quantity matters if its values among the best
trials are spread otherwise than among all. Importances are positive even of what does nothing. So
the same is computed with the trials' results shuffled, which cuts every tie. What is not above the
largest of these, over all quantities, is not told from chance; so for one head of twenty something
that does nothing is called real (Westfall & Young 1993: the largest of all, each by its own mean).
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, create_trial

from mhray.tuning.compared import ANNOUNCES
from mhray.tuning.page.searched import Quantity
from mhray.tuning.yaml_lines import Value

SHUFFLES = 19  # the largest of so many by chance is passed once in twenty times
LEAST = 10  # complete trials
_GOOD = 0.1  # the best tenth, as in the paper, but no fewer than
_LEAST_GOOD = 10


@dataclass(frozen=True)
class Importance:
    """How much a quantity matters for a head.

    Attributes:
        quantity: of which this is said.
        head: the name of one.
        share: of what all quantities have for this head, in [0, 1].
        is_real: whether it is more than chance gives.
    """

    quantity: Quantity
    head: str
    share: float
    is_real: bool


def importances(
    quantities: Sequence[Quantity],
    draws: Sequence[Sequence[Value]],
    results: Mapping[str, Sequence[float]],
) -> list[Importance]:
    """The importance of each quantity for each head; none if there are too few trials.

    Args:
        quantities: that all trials have.
        draws: of each trial, the values of the quantities.
        results: of each head, the accuracy of each trial.
    """
    if len(draws) < LEAST or not quantities:
        return []
    study = _study_of(quantities, draws)
    floors = _floors(study, quantities)
    return [
        Importance(quantity, head, share, is_real)
        for head, accuracies in results.items()
        for quantity, share, is_real in _of_head(study, quantities, accuracies, floors)
    ]


def _of_head(
    study: optuna.Study,
    quantities: Sequence[Quantity],
    accuracies: Sequence[float],
    floors: dict[str, float],
) -> Iterator[tuple[Quantity, float, bool]]:
    found = _evaluated(study, quantities, accuracies)
    whole = sum(found.values()) or 1.0
    for quantity in quantities:
        importance = found[quantity.path]
        yield quantity, importance / whole, importance > floors[quantity.path]


def _floors(study: optuna.Study, quantities: Sequence[Quantity]) -> dict[str, float]:
    """What chance alone gives each quantity at most; it is the same for all heads."""
    count = len(study.get_trials(deepcopy=False))
    order = np.random.default_rng(0)
    shuffled = [
        _evaluated(study, quantities, order.permutation(count).tolist()) for _ in range(SHUFFLES)
    ]
    usual = {one.path: mean(found[one.path] for found in shuffled) or 1.0 for one in quantities}
    most = max(found[path] / usual[path] for found in shuffled for path in usual)
    return {path: most * by_chance for path, by_chance in usual.items()}


def _evaluated(
    study: optuna.Study, quantities: Sequence[Quantity], results: Sequence[float]
) -> dict[str, float]:
    good = min(max(_GOOD, _LEAST_GOOD / len(results)), 0.5)
    evaluator = PedAnovaImportanceEvaluator(target_quantile=good)
    paths = [quantity.path for quantity in quantities]
    with warnings.catch_warnings():
        # That low targets count as good is what the minus is for.
        warnings.filterwarnings("ignore", message="PedAnova")
        return evaluator.evaluate(study, paths, target=lambda trial: -results[trial.number])


def _study_of(quantities: Sequence[Quantity], draws: Sequence[Sequence[Value]]) -> optuna.Study:
    """The trials by the quantities of their overrides, in memory."""
    logging.getLogger(ANNOUNCES).setLevel(logging.WARNING)
    study = optuna.create_study()
    distributions = {quantity.path: _distribution(quantity) for quantity in quantities}
    study.add_trials([_trial(quantities, drawn, distributions) for drawn in draws])
    return study


def _trial(
    quantities: Sequence[Quantity],
    drawn: Sequence[Value],
    distributions: dict[str, BaseDistribution],
) -> FrozenTrial:
    pairs = zip(quantities, drawn, strict=True)
    params = {quantity.path: _in_range(quantity, value) for quantity, value in pairs}
    return create_trial(params=params, distributions=distributions, value=0.0)


def _distribution(quantity: Quantity) -> BaseDistribution:
    if quantity.choices:
        return CategoricalDistribution(tuple(map(repr, quantity.choices)))
    if quantity.is_whole:
        return IntDistribution(int(quantity.low), int(quantity.high))
    return FloatDistribution(quantity.low, quantity.high, log=quantity.is_log)


def _in_range(quantity: Quantity, value: Value) -> Value:
    """A value as Optuna takes it: a weight of a simplex may be off its range by its rounding."""
    if quantity.choices:
        return repr(value)
    if quantity.is_whole:
        return int(float(value or 0))
    return min(max(float(value or 0), quantity.low), quantity.high)
