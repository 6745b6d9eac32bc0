"""Sample by sample through PyTorch's own DataLoader: what torchvision transforms need.

The order is the batch loader's: a function of seed and epoch, of which each rank sees its slice, so
that nothing is seen twice in an evaluation. What a transform draws follows PyTorch's generator.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mhray.data.loader import Batch, Sampler, batch_bounds
from mhray.data.partition import Rows
from mhray.data.ranks import Rank


class PerSampleLoader:
    """Batches ``(images, {head: targets})`` of a data set that has a transform.

    Wraps its DataLoader, since Lightning gives a bare one an order of its own on several ranks.

    Args:
        rows: the samples of the data set to load.
        batch_size: samples of all ranks together.
        sampler: under this name Lightning's Trainer looks for ``set_epoch``.

    Raises:
        ConfigError: the batch or the samples cannot be shared by the ranks.
    """

    def __init__(
        self,
        dataset: Dataset[tuple[Any, Any]],
        rows: Rows,
        batch_size: int,
        *,
        sampler: Sampler,
        num_workers: int = 0,
        pin_memory: bool = False,
        persistent_workers: bool = False,
        rank: Rank | None = None,
    ) -> None:
        self.sampler = sampler
        # Lightning reads it of everything that has a sampler (2.6, _is_dataloader_shuffled).
        self.batch_sampler = None
        self._batches: DataLoader[Batch] = DataLoader(
            dataset,
            batch_sampler=_RowsOfBatches(rows, batch_size, sampler, rank or Rank()),
            num_workers=num_workers,
            # PyTorch warns of the one without a GPU, and refuses the other without workers.
            pin_memory=pin_memory and torch.cuda.is_available(),
            persistent_workers=persistent_workers and num_workers > 0,
            collate_fn=collate_multihead,
        )

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)


def collate_multihead(items: Sequence[tuple[Tensor, Mapping[str, Tensor]]]) -> Batch:
    """A batch ``(images, {head: targets})`` of per-sample items."""
    images, targets = zip(*items, strict=True)
    return torch.stack(images), {
        head: torch.stack([target[head] for target in targets]) for head in targets[0]
    }


class _RowsOfBatches(torch.utils.data.Sampler[list[int]]):
    """The samples of each batch that are this rank's."""

    def __init__(self, rows: Rows, batch_size: int, sampler: Sampler, rank: Rank) -> None:
        self._rows = rows
        self._sampler = sampler
        self._rank = rank
        self._bounds = batch_bounds(len(rows), batch_size, rank.count)

    def __len__(self) -> int:
        return len(self._bounds)

    def __iter__(self) -> Iterator[list[int]]:
        rows = self._rows[self._sampler.begin_epoch(len(self._rows), ()).order]
        for start, stop in self._bounds:
            yield rows[start:stop][self._rank.index :: self._rank.count].tolist()
