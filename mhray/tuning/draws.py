"""The networks that a study may draw, each with its load and its share of the trials."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from omegaconf import DictConfig

from mhray.errors import ConfigError
from mhray.training.changes import LEARNING_RATE
from mhray.training.load import Load, count_load, images_per_epoch
from mhray.tuning.distributions import LOSS_WEIGHTS
from mhray.tuning.limits import options_of
from mhray.tuning.study import Study
from mhray.tuning.trial_overrides import samples_of

DRAWN = 64  # trials, which take a few milliseconds each
PER_OPTION = 2  # of them are composed and counted, which takes some tenths of a second each
# What changes neither a network nor its batches.
_WITHOUT_WEIGHT = (f"{LOSS_WEIGHTS}.", LEARNING_RATE, "model.optimizer.", "seed=", "select.")


@dataclass(frozen=True)
class Drawn:
    """A network that a study may draw.

    Attributes:
        overrides: of a trial that has it.
        options: that this trial drew.
        load: what decides its speed.
        images: that an epoch is worth.
        share: of the study's trials that it stands for.
    """

    overrides: tuple[str, ...]
    options: frozenset[str]
    load: Load
    images: float
    share: float


def networks_of(study: Study, compose: Callable[[Sequence[str]], DictConfig]) -> list[Drawn]:
    """A few networks for each option of a study, as independent draws would have them."""
    drawn = [tuple(overrides) for overrides in samples_of(study, DRAWN)]
    counts = Counter(options_of(study, overrides) for overrides in drawn)
    found = [
        (options, overrides, load, images)
        for options in counts
        for overrides in _different(o for o in drawn if options_of(study, o) == options)
        for load, images in _built(overrides, compose)
    ]
    of_option = Counter(options for options, *_ in found)
    total = sum(counts[options] for options in of_option)
    return [
        Drawn(overrides, options, load, images, counts[options] / total / of_option[options])
        for options, overrides, load, images in found
    ]


def load_overrides(overrides: Iterable[str]) -> tuple[str, ...]:
    """Those of a trial's overrides that may have to do with its load.

    >>> load_overrides(["model=cnn", "model.loss_weights.left=0.5", "data.batch_size=32"])
    ('model=cnn', 'data.batch_size=32')
    """
    return tuple(text for text in overrides if not text.startswith(_WITHOUT_WEIGHT))


def _different(drawn: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    by_load = {load_overrides(overrides): overrides for overrides in drawn}
    return list(by_load.values())[:PER_OPTION]


def _built(
    overrides: tuple[str, ...], compose: Callable[[Sequence[str]], DictConfig]
) -> Iterator[tuple[Load, float]]:
    """The load of a trial and its images; nothing if its network cannot be built."""
    with suppress(ConfigError):
        config = compose(overrides)
        yield count_load(config), images_per_epoch(config)
