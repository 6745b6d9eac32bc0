"""What is suspicious in a data set: nothing that the format forbids, all that misleads a model.

Each finding is one sentence with its numbers. What a fair draw of the same size could show as well
is no finding: where that is in doubt, the chance must be below one in a million.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhray.data.dataset import MultiheadDatasetBase
from mhray.data.image_findings import findings_in_images
from mhray.heads import Head

Counts = NDArray[np.int64]

_CHANCE = 1e-6
_SHOWN = 4  # names in one finding


def find_suspicious(
    train: MultiheadDatasetBase, test: MultiheadDatasetBase | None = None
) -> list[str]:
    """One sentence per finding: on the splits, on the targets of each head, on the images."""
    found = [*_idle_classes(train), *_determined_heads(train), *findings_in_images(train, test)]
    if test is None:
        return ["there is no test batch: nothing can be measured on images kept apart", *found]
    return [*_unshared_heads(train, test), *_differences(train, test), *found]


def class_counts(data: MultiheadDatasetBase) -> list[tuple[Head, Counts]]:
    """How many samples each class of each head has, by class index."""
    return [
        (head, np.bincount(column, minlength=head.num_classes))
        for head, column in zip(data.heads, data.targets.T, strict=True)
    ]


def distance_between(train: Counts, test: Counts) -> tuple[float, float]:
    """How far apart two draws of one head are, and how far fair draws of their sizes could be.

    The first is the total variation distance of the shares of the classes. The second is exceeded
    by fair draws less than once in a million times: the mean under one common distribution is at
    most half the sum of the deviations of the differences (Jensen), here at the pooled shares;
    McDiarmid's inequality (1989) bounds the rest, for one sample moves the distance by one over
    the size of its draw.

    >>> distance, explained = distance_between(np.array([500, 500]), np.array([300, 700]))
    >>> f"{distance:.2f} {explained:.2f}"
    '0.20 0.14'
    """
    sizes = train.sum(), test.sum()
    pooled = (train + test) / sum(sizes)
    spread = sum(1 / size for size in sizes)
    mean = np.sqrt(pooled * (1 - pooled) * spread).sum() / 2
    distance = np.abs(train / sizes[0] - test / sizes[1]).sum() / 2
    return float(distance), float(mean + math.sqrt(-math.log(_CHANCE) * spread / 2))


def _idle_classes(train: MultiheadDatasetBase) -> Iterator[str]:
    for head, counts in class_counts(train):
        (present,) = counts.nonzero()
        if len(present) == 1:
            name = head.name_of(int(present[0]))
            yield f"head {head.name} is constant: {name} in all {len(train)} train images"
        elif len(present) < len(counts):
            absent = _names(head, counts == 0)
            yield (
                f"head {head.name}: classes that never occur in train: {_few(absent)} "
                f"({len(absent)} of {len(counts)})"
            )


def _unshared_heads(train: MultiheadDatasetBase, test: MultiheadDatasetBase) -> Iterator[str]:
    names = [[head.name for head in data.heads] for data in (train, test)]
    for split, mine, others in (("train", *names), ("test", *reversed(names))):
        if alone := [name for name in mine if name not in others]:
            yield f"only {split} has the heads {_few(alone)}"


def _differences(train: MultiheadDatasetBase, test: MultiheadDatasetBase) -> Iterator[str]:
    tested = {head.name: counts for head, counts in class_counts(test)}
    for head, counts in class_counts(train):
        if head.name not in tested:
            continue
        others = tested[head.name]
        is_new = (counts == 0) & (others > 0)
        if is_new.any():
            yield (
                f"head {head.name}: classes that occur in test and never in train: "
                f"{_few(_names(head, is_new))} ({others[is_new].sum()} test images)"
            )
        distance, explained = distance_between(counts, others)
        if distance > explained:
            yield (
                f"head {head.name}: its classes are shared out otherwise in test: total variation "
                f"distance {distance:.2f}, where chance explains {explained:.2f}"
            )


def _determined_heads(train: MultiheadDatasetBase) -> Iterator[str]:
    """Heads that can be told from another one, in both directions or in one."""
    links = _links(train.targets)
    is_same = links & links.T
    names = [head.name for head in train.heads]
    for index, name in enumerate(names):
        same = [names[other] for other in is_same[index].nonzero()[0]]
        if same and not is_same[index, :index].any():
            yield f"heads {_few([name, *same])} are the same up to the names of their classes"
        determined = [names[other] for other in (links & ~is_same)[index].nonzero()[0]]
        if determined:
            yield (
                f"head {name} determines {_few(determined)}: "
                f"each of its classes occurs with one class only in {len(train)} train images"
            )


def _links(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Which head (row) determines which other one (column), and not by chance."""
    links = np.empty((targets.shape[1],) * 2, bool)
    for index, column in enumerate(targets.T):
        _, first, members = np.unique(column, return_index=True, return_inverse=True)
        links[index] = (targets[first[members]] == targets).all(axis=0)
    np.fill_diagonal(links, val=False)
    for one, other in np.argwhere(links):
        links[one, other] = _chance(targets[:, one], targets[:, other]) < _CHANCE
    return links


def _chance(one: NDArray[Any], other: NDArray[Any]) -> float:
    """How likely independent heads are to agree so: 1 if the other one is constant."""
    sizes = np.unique(one, return_counts=True)[1]
    shares = np.unique(other, return_counts=True)[1] / len(other)
    by_class = np.logaddexp.reduce(np.log(shares)[:, None] * sizes, axis=0)
    return math.exp(by_class.sum())


def _names(head: Head, chosen: NDArray[np.bool_]) -> list[str]:
    return [head.name_of(int(index)) for index in chosen.nonzero()[0]]


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
