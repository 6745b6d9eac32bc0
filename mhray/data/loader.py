"""A whole batch at a time: uint8 images in, augmented and normalised float images out.

Working on one array per batch rather than on one image at a time is what makes loading some thirty
times as fast. Order and augmentation are a function of seed, epoch and sample alone: a run resumed
at the end of an epoch sees what an uninterrupted one would, and each of several ranks sees its
slice of the same batches.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from mhray.data.augment import Drawn, Step
from mhray.data.partition import Rows
from mhray.data.ranks import Rank
from mhray.data.records import Bytes
from mhray.errors import ConfigError
from mhray.heads import Head

Batch = tuple[Tensor, dict[str, Tensor]]


class Arrays(Protocol):
    """What the loader needs of a data set.

    Attributes:
        images: ``(samples, channels, height, width)``.
        targets: ``(samples, heads)``.
    """

    images: Bytes
    targets: NDArray[np.integer[Any]]
    heads: tuple[Head, ...]


@dataclass(frozen=True)
class Normalisation:
    """Channels on the scale [0, 1], shifted to mean 0 and scaled to standard deviation 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Float32 images of uint8 ones, ``(batch, channels, height, width)``, on their device."""
        scale, shift = self._factors
        return images.float().mul_(scale.to(images.device)).sub_(shift.to(images.device))

    @cached_property
    def _factors(self) -> tuple[Tensor, Tensor]:
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return 1 / (255 * std), mean / std


@dataclass(frozen=True)
class Epoch:
    """One pass over the samples: their order, and what each augmentation does with each sample."""

    order: Rows
    drawn: tuple[Drawn, ...] = ()


class Sampler(ABC):
    """Says how each pass over the samples goes."""

    @abstractmethod
    def begin_epoch(self, samples: int, steps: Sequence[Step]) -> Epoch:
        """The next pass, with a draw for each augmentation."""


class InOrder(Sampler):
    """The same pass every time, as the samples come and without augmentation."""

    @override
    def begin_epoch(self, samples: int, steps: Sequence[Step]) -> Epoch:
        return Epoch(np.arange(samples))


class Shuffled(Sampler):
    """A new order in every epoch, which seed and epoch alone determine.

    Lightning's Trainer sets the epoch; iterated without one, each pass is the next epoch.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of this epoch."""
        self.epoch = epoch

    @override
    def begin_epoch(self, samples: int, steps: Sequence[Step]) -> Epoch:
        generator = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        order = generator.permutation(samples)
        return Epoch(order, tuple(step.draw(generator, samples) for step in steps))


class BatchLoader:
    """Batches ``(images, {head: targets})``: float32 ``(batch, C, H, W)`` and int64 ``(batch,)``.

    Args:
        data: its arrays are never copied as a whole.
        rows: the samples of ``data`` to load.
        batch_size: samples of all ranks together.
        sampler: under this name Lightning's Trainer looks for ``set_epoch``.
        steps: augmentation.

    Raises:
        ConfigError: the batch or the samples cannot be shared by the ranks.
    """

    def __init__(
        self,
        data: Arrays,
        rows: Rows,
        batch_size: int,
        normalisation: Normalisation,
        *,
        sampler: Sampler,
        steps: tuple[Step, ...] = (),
        rank: Rank | None = None,
    ) -> None:
        self.sampler = sampler
        # Lightning reads it of everything that has a sampler (2.6, _is_dataloader_shuffled).
        self.batch_sampler = None
        self._data = data
        self._rows = rows
        self._normalisation = normalisation
        self._steps = steps
        self._rank = rank or Rank()
        self._bounds = batch_bounds(len(rows), batch_size, self._rank.count)

    def __len__(self) -> int:
        return len(self._bounds)

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.sampler.begin_epoch(len(self._rows), self._steps)
        for start, stop in self._bounds:
            yield self._load(epoch, epoch.order[start:stop][self._rank.index :: self._rank.count])

    def _load(self, epoch: Epoch, positions: Rows) -> Batch:
        rows = self._rows[positions]
        images = np.ascontiguousarray(self._data.images[rows])
        for step, drawn in zip(self._steps, epoch.drawn, strict=False):
            images = step.apply(images, drawn[positions])
        columns = self._data.targets.take(rows, axis=0).T.astype(np.int64, order="C")
        targets = {
            head.name: torch.from_numpy(column)
            for head, column in zip(self._data.heads, columns, strict=True)
        }
        return self._normalisation(torch.from_numpy(images)), targets


class KeptBatches:
    """Keeps the batches of a loader in memory after the first whole pass."""

    def __init__(self, loader: BatchLoader) -> None:
        self._loader = loader
        self._batches: list[Batch] = []

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        if self._batches:
            yield from self._batches
            return
        batches = []
        for batch in self._loader:
            batches.append(batch)
            # Before the last batch is handed out, since Lightning does not ask for a next one.
            if len(batches) == len(self._loader):
                self._batches = batches
            yield batch


def batch_bounds(samples: int, batch_size: int, ranks: int) -> list[tuple[int, int]]:
    """Where each batch starts and stops; the last one may be smaller.

    A last batch that has not a sample for each rank joins the one before it: ranks that make
    different numbers of steps wait for each other for ever. The others need not be a multiple of
    the ranks: the loss is that of the whole batch, however it is cut.

    >>> batch_bounds(samples=10, batch_size=4, ranks=2)
    [(0, 4), (4, 8), (8, 10)]
    >>> batch_bounds(samples=9, batch_size=4, ranks=2)
    [(0, 4), (4, 9)]

    Raises:
        ConfigError: the batch or the samples cannot be shared by the ranks.
    """
    if batch_size < ranks:
        raise ConfigError(
            f"data.batch_size: {batch_size} images cannot be shared by {ranks} workers; "
            f"write {ranks} or more"
        )
    if samples < ranks:
        raise ConfigError(
            f"data.data_dir: {samples} samples cannot be shared by {ranks} workers; "
            f"write workers={samples} or fewer"
        )
    stops = [*range(batch_size, samples, batch_size), samples]
    if len(stops) > 1 and stops[-1] - stops[-2] < ranks:
        del stops[-2]
    return list(zip([0, *stops[:-1]], stops, strict=True))


def samples_per_rank(samples: int, batch_size: int, ranks: int) -> tuple[int, ...]:
    """How many samples of an epoch each rank sees.

    >>> samples_per_rank(samples=10, batch_size=4, ranks=2)
    (5, 5)
    >>> samples_per_rank(samples=12, batch_size=4, ranks=3)
    (6, 3, 3)
    """
    sizes = [stop - start for start, stop in batch_bounds(samples, batch_size, ranks)]
    return tuple(sum(len(range(rank, size, ranks)) for size in sizes) for rank in range(ranks))
