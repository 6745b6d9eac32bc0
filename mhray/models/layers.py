"""What several networks are built of: a memory layout, and depth that is dropped at random."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from typing_extensions import override


class ChannelsLast(nn.Module):
    """Lays images out as convolutions read them fastest; their values and shape stay."""

    @override
    def forward(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last)


def drop_path_rates(highest: float, num_blocks: int) -> Iterator[float]:
    """The probability of each block to be skipped, from 0 to the highest, in equal steps.

    Huang et al. 2016, section 3, with 0 for the first block.

    >>> list(drop_path_rates(0.1, 3)), list(drop_path_rates(0.1, 1))
    ([0.0, 0.05, 0.1], [0.0])
    """
    for block in range(num_blocks):
        yield highest * block / max(num_blocks - 1, 1)
