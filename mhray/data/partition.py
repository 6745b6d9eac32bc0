"""Train and validation, cut from one batch of samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhray.errors import DataFormatError

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Partition:
    """Which samples are for training and which for validation, both ascending."""

    train: Rows
    val: Rows

    @classmethod
    def of(cls, samples: int, val: Rows) -> "Partition":
        """The partition whose validation part is ``val``."""
        is_train = np.ones(samples, bool)
        is_train[val] = False
        return cls(np.flatnonzero(is_train), np.flatnonzero(~is_train))


def stratified(classes: NDArray[np.integer[Any]], val_fraction: float, seed: int) -> Partition:
    """A random partition in which every class has the same share of validation, to one sample.

    The samples are shuffled, sorted by class, and taken at even distances.

    >>> len(stratified(np.zeros(20, np.int64), 0.1, seed=0).val)
    2

    Raises:
        DataFormatError: there is but one sample.
    """
    samples = len(classes)
    if samples == 1:
        raise DataFormatError(
            "train_batch: found 1 sample; expected at least 2, for training and for validation"
        )
    shuffled = np.random.default_rng(seed).permutation(samples)
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    count = min(max(1, round(samples * val_fraction)), samples - 1)
    return Partition.of(samples, by_class[np.arange(count) * samples // count])
