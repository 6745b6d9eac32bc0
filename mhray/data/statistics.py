"""What can be counted in a split: channel means and deviations, and how the classes share it.

A histogram per channel needs no copy of the images in floating point, and gives the same numbers in
whatever order the samples come.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mhray.data.records import Bytes

_CHUNK = 1024  # images counted at a time


def channel_statistics(
    images: Bytes, rows: NDArray[np.int64] | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, on the scale [0, 1].

    >>> channel_statistics(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1))
    ((0.5,), (0.5,))

    Args:
        images: ``(samples, channels, height, width)``.
        rows: the samples to count; all of them if absent.
    """
    chosen = np.arange(len(images)) if rows is None else rows
    counts = np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(chosen), _CHUNK):
        chunk = images[chosen[start : start + _CHUNK]]
        for channel in range(len(counts)):
            counts[channel] += np.bincount(chunk[:, channel].reshape(-1), minlength=256)
    scale = np.arange(256) / 255
    total = counts[0].sum()
    mean = counts @ scale / total
    variance = counts @ scale**2 / total - mean**2
    return tuple(mean.tolist()), tuple(np.sqrt(np.maximum(variance, 0)).tolist())


def largest_share(values: Bytes) -> float:
    """The share of the commonest value, in (0, 1]: how often whoever always names it is right.

    >>> largest_share(np.array([0, 1, 1, 3], np.uint8))
    0.5
    """
    return float(np.bincount(values).max() / len(values))


def evenness(values: Bytes, num_classes: int) -> float:
    """How evenly the samples are shared by the classes, in [0, 1]; 1 for a single class.

    Pielou's evenness (1966): the Shannon entropy of the shares over its maximum. Few samples look
    uneven by chance; the entropy is corrected for that as Miller (1955) does.

    >>> evenness(np.array([0, 1, 2, 3], np.uint8), num_classes=4)
    1.0
    >>> round(evenness(np.array([0, 0, 0, 1] * 100, np.uint8), num_classes=2), 2)
    0.81
    """
    counts = np.bincount(values)
    shares = counts[counts > 0] / len(values)
    entropy = float(-(shares * np.log(shares)).sum()) + (len(shares) - 1) / (2 * len(values))
    return min(entropy / math.log(num_classes), 1.0) if num_classes > 1 else 1.0
