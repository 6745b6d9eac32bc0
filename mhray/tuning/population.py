"""Population-based training as arithmetic: who goes on from whose checkpoint, and with what.

All trials of a study are one population. Whenever all stand at the same epoch, the worst of them
take over the weights of a network, and what was searched, from one of the best, perturbed. What
comes out depends on the rows in the journal and on the seed alone, so that a sweep which was killed
in the middle of it decides the same again.

Deviations from Jaderberg et al. 2017: trials wait for each other instead of comparing themselves
with whoever has come how far, since two at a time would else be one behind the other; a value is
never drawn anew. Trial 0, the baseline, may be taken over from and never takes over.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from mhray.training.changes import CHANGES, Change, changes_override
from mhray.tuning.distributions import Draw, LogUniform, Uniform
from mhray.tuning.record import BASELINE, Takeover, TrialRecord
from mhray.tuning.scheduler_kinds import Pbt
from mhray.tuning.simplex import Simplex
from mhray.tuning.space import format_override
from mhray.tuning.study import Study

SMALLEST_SHARE = 1e-6  # of the weight to be shared out: a share of 0 has no logarithm


def takeovers(study: Study, pbt: Pbt, standing: Sequence[TrialRecord]) -> Iterator[Takeover]:
    """What changes in a population whose trials stand at one epoch."""
    epoch = standing[0].epochs[-1].epoch
    ranked = _ranked(study, standing)
    count = int(pbt.quantile * len(ranked))
    for record in ranked[len(ranked) - count :]:
        if record.number != BASELINE:
            rng = np.random.default_rng([pbt.seed, epoch, record.number])
            parent = ranked[int(rng.integers(count))]
            yield _takeover(study, pbt, record, parent, rng)


def perturbed_weights(
    weights: Sequence[float], simplex: Simplex, step: float, rng: Generator
) -> list[float]:
    """Loss weights near these ones; they keep the sum and the floor of their simplex.

    Each share of what lies above the floor has a log-ratio, log(share / geometric mean of shares),
    to which normal noise is added; softmax makes shares of them again. With a floor of 0 these are
    the log-ratios of the weights themselves.
    """
    count = len(weights)
    total = float(count) if simplex.total is None else simplex.total
    room = total - simplex.floor * count
    shares = np.maximum((np.array(weights) - simplex.floor) / room, SMALLEST_SHARE)
    ratios = np.log(shares) - np.log(shares).mean()
    moved = _softmax(ratios + rng.normal(0.0, step, count))
    return [float(f"{simplex.floor + room * share:.12g}") for share in moved]


def perturbed_rate(
    rate: float, bounds: tuple[float, float], factors: Sequence[float], rng: Generator
) -> float:
    """A learning rate times one of the factors, kept in its range."""
    low, high = bounds
    return float(min(max(rate * factors[int(rng.integers(len(factors)))], low), high))


def _ranked(study: Study, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best last epoch first, the smallest number first among equals."""
    sign = -1 if study.select.mode == "max" else 1
    metric = study.select.metric
    return sorted(records, key=lambda r: (sign * r.epochs[-1].metrics[metric], r.number))


def _takeover(
    study: Study, pbt: Pbt, record: TrialRecord, parent: TrialRecord, rng: Generator
) -> Takeover:
    before = parent.takeovers[-1].changes if parent.takeovers else ()
    own = [text for text in parent.overrides if not text.startswith(f"{CHANGES}=")]
    now = [*own, *(text for change in before for text in change.overrides)]
    perturbed = _perturbed(study, pbt, now, rng)
    epoch = parent.epochs[-1].epoch
    change = Change(epoch, tuple(format_override(*item) for item in perturbed.items()))
    changes = (*before, change)
    return Takeover(
        trial=record.number,
        parent=parent.number,
        epoch=epoch,
        overrides=(*own, changes_override(changes)),
        changes=changes,
    )


def _perturbed(study: Study, pbt: Pbt, now: Sequence[str], rng: Generator) -> Draw:
    """New values of all that is searched, by path; ``now`` are those of the parent, latest last."""
    values = dict(text.partition("=")[::2] for text in now)
    new: Draw = {}
    for path, distribution in study.search.items():
        match distribution:
            case Simplex():
                paths = distribution.sets(path)
                weights = [float(values[of_head]) for of_head in paths]
                moved = perturbed_weights(weights, distribution, pbt.log_ratio_step, rng)
                new |= dict(zip(paths, moved, strict=True))
            case Uniform(uniform=bounds) | LogUniform(log_uniform=bounds):
                new[path] = perturbed_rate(float(values[path]), bounds, pbt.lr_factors, rng)
    return new


def _softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(values - values.max())
    shares: npt.NDArray[np.float64] = powers / powers.sum()
    return shares
