"""Sample by sample through PyTorch's own DataLoader: what torchvision transforms need."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from mhray.data.dataset import MultiheadDatasetBase
from mhray.data.loader import batch_bounds
from mhray.data.partition import Rows
from mhray.data.ranks import current_rank


def per_sample_loader(
    dataset: MultiheadDatasetBase,
    rows: Rows,
    batch_size: int,
    *,
    shuffle: bool,
    num_workers: int,
    pin_memory: bool,
    persistent_workers: bool,
) -> DataLoader[Any]:
    """Batches ``(images, {head: targets})`` of a data set that has a transform.

    ``batch_size`` is that of all ranks together; Lightning gives each rank its own samples.

    Raises:
        ConfigError: the batch cannot be shared by the ranks.
    """
    ranks = current_rank().count
    batch_bounds(len(rows), batch_size, ranks)
    return DataLoader(
        Subset(dataset, rows.tolist()),
        batch_size=batch_size // ranks,
        shuffle=shuffle,
        num_workers=num_workers,
        # PyTorch warns of the one without a GPU, and refuses the other without workers.
        pin_memory=pin_memory and torch.cuda.is_available(),
        persistent_workers=persistent_workers and num_workers > 0,
        collate_fn=collate_multihead,
    )


def collate_multihead(
    items: Sequence[tuple[Tensor, Mapping[str, Tensor]]],
) -> tuple[Tensor, dict[str, Tensor]]:
    """A batch ``(images, {head: targets})`` of per-sample items."""
    images, targets = zip(*items, strict=True)
    return torch.stack(images), {
        head: torch.stack([target[head] for target in targets]) for head in targets[0]
    }
