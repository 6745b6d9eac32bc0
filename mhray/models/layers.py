"""What several networks are built of: memory layout, normalisation, and depth dropped at random."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor, nn
from typing_extensions import override

from mhray.models.refusals import Argument

MOST_GROUPS = 8

# From a number of channels.
MakeNorm: TypeAlias = Callable[[int], nn.Module]


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


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalises channels in the most groups, up to 8, that are of one size (Wu & He 2018).

    Theirs are 32, of more channels; a width that a parameter budget decides need not be a multiple
    of anything.

    >>> [group_norm(channels).num_groups for channels in (16, 12, 7, 11)]
    [8, 6, 7, 1]
    """
    return nn.GroupNorm(max(n for n in range(1, MOST_GROUPS + 1) if channels % n == 0), channels)


NORMS: dict[str, MakeNorm] = {"batch": nn.BatchNorm2d, "group": group_norm}


def norm_kind(value: object) -> Argument:
    """The name of a normalisation."""
    return Argument(value, value in NORMS, " or ".join(NORMS))
