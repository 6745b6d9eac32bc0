"""Which head's class follows from another head's, measured: a coarse class from a fine one, say.

It follows if all samples of one class of the other head are of one class of this head. A head of a
single class follows from every other.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhray.data.header_rules import LARGEST_BYTE
from mhray.data.records import Bytes
from mhray.heads import Head, Implication

_FEW = 100  # samples that rule most pairs of heads out


def implying_heads(values: Bytes) -> list[list[int]]:
    """For each head the other heads that imply it, as columns of ``values`` (samples, heads)."""
    columns = np.ascontiguousarray(values.T)
    implying: list[list[int]] = [[] for _ in columns]
    for index, column in enumerate(columns):
        sample_of = _sample_of(column, LARGEST_BYTE + 1)
        for implied in _followers(columns, index, sample_of):
            implying[implied].append(index)
    return implying


def implications(
    targets: NDArray[np.integer[Any]], heads: Sequence[Head]
) -> dict[str, tuple[Implication, ...]]:
    """How each head that others imply follows from them, by its name.

    Args:
        targets: the classes, ``(samples, heads)``.
        heads: of the columns.
    """
    found = {
        head.name: tuple(_implications(column, head.implied_by, targets, heads))
        for head, column in zip(heads, targets.T, strict=True)
    }
    return {name: implied_by for name, implied_by in found.items() if implied_by}


def _followers(columns: Bytes, index: int, sample_of: NDArray[np.int64]) -> NDArray[np.intp]:
    """The other columns in which each sample has the value of the sample of its class."""
    others = np.delete(np.arange(len(columns)), index)
    for some in (columns[:, :_FEW], columns):
        examples = columns[np.ix_(others, sample_of[some[index]])]
        others = others[(examples == some[others]).all(axis=1)]
    return others


def _implications(
    column: NDArray[np.integer[Any]],
    implied_by: Sequence[str],
    targets: NDArray[np.integer[Any]],
    heads: Sequence[Head],
) -> Iterator[Implication]:
    for by, classes in zip(heads, targets.T, strict=True):
        if by.name in implied_by:
            samples = _sample_of(classes, by.num_classes).tolist()
            told = (int(column[sample]) if sample >= 0 else None for sample in samples)
            yield Implication(by.name, tuple(told))


def _sample_of(column: NDArray[np.integer[Any]], count: int) -> NDArray[np.int64]:
    """A sample of each of so many classes; -1 where there is none."""
    samples = np.full(count, -1)
    samples[column] = np.arange(len(column))
    return samples
