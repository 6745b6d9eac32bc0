"""Images that lie on the device that trains, where batches are cut out of them and augmented.

A small network is done with a batch on a GPU before the next one is there. As bytes, 50 000 images
of 32x32x3 pixels are 147 MiB. What a batch holds is what the loader on the CPU makes of the same
draws, pixel by pixel.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from mhray.data.augment import Step
from mhray.data.loader import Arrays, Batch, BatchLoader, Normalisation, Sampler
from mhray.data.partition import Rows
from mhray.data.ranks import Rank
from mhray.errors import ConfigError


@dataclass(frozen=True)
class Resident:
    """A data set on a device: uint8 images, and int64 targets ``(heads, samples)``."""

    images: Tensor
    targets: Tensor

    @classmethod
    def of(cls, data: Arrays, device: torch.device) -> "Resident":
        """A copy on the device.

        Raises:
            ConfigError: the device has no room for it.
        """
        columns = np.ascontiguousarray(data.targets.T, np.int64)
        try:
            images = torch.from_numpy(np.array(data.images)).to(device)
            return cls(images, torch.from_numpy(columns).to(device))
        except torch.OutOfMemoryError as error:
            raise ConfigError(
                f"data.on_device: {data.images.nbytes} bytes of images do not fit onto {device} "
                f"({error}); write data.on_device=false"
            ) from error


class ResidentLoader(BatchLoader):
    """The batches of a :class:`BatchLoader`, made on a device; ``resident`` is all of ``data``."""

    def __init__(
        self,
        data: Arrays,
        rows: Rows,
        batch_size: int,
        normalisation: Normalisation,
        *,
        resident: Resident,
        sampler: Sampler,
        steps: tuple[Step, ...] = (),
        rank: Rank | None = None,
    ) -> None:
        super().__init__(
            data, rows, batch_size, normalisation, sampler=sampler, steps=steps, rank=rank
        )
        self._resident = resident
        self._rows_there = self._there(rows)

    @override
    def __iter__(self) -> Iterator[Batch]:
        epoch = self.sampler.begin_epoch(len(self._rows), self._steps)
        order, drawn = self._there(epoch.order), [self._there(each) for each in epoch.drawn]
        for start, stop in self._bounds:
            positions = order[start:stop][self._rank.index :: self._rank.count]
            rows = self._rows_there[positions]
            images = self._resident.images[rows]
            # A pass in order draws nothing, whatever the steps are.
            for step, each in zip(self._steps, drawn, strict=False):
                images = step.apply_on_device(images, each[positions])
            columns = self._resident.targets[:, rows]
            names = [head.name for head in self._data.heads]
            yield self._normalisation(images), dict(zip(names, columns, strict=True))

    def _there(self, array: Rows) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._resident.images.device)
