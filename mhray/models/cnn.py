"""SimpleCNN: two convolutions and one hidden layer.

Written in the fast one of two equal forms. Against the usual order (convolution with bias,
BatchNorm, ReLU, max-pool, in NCHW) a step takes half the time on a CPU, and the function is the
same: BatchNorm subtracts whatever bias the convolution adds, ReLU commutes with the maximum (and
is cheaper on the pooled map), and channels_last only changes how numbers lie in memory.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from typing_extensions import override

from mhray.errors import ConfigError
from mhray.models.classifiers import ImageShape, MultiheadNetwork

SMALLEST_SIDE = 8  # pixels: what three halvings make one of


class SimpleCNN(MultiheadNetwork):
    """Two blocks of 3x3 convolution, BatchNorm, ReLU and max-pool, then one hidden layer.

    Images are of 8x8 pixels or more. With its defaults and heads of 100 and 20 classes it has
    66 024 parameters on 32x32x3 images.
    """

    def __init__(
        self,
        input_channels: int | None = None,
        conv1_channels: int = 16,
        conv2_channels: int = 32,
        fc_hidden: int = 96,
        input_size: int | None = None,
        dropout: float = 0.25,
        heads_config: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(
            partial(
                _build_backbone,
                conv1_channels=conv1_channels,
                conv2_channels=conv2_channels,
                fc_hidden=fc_hidden,
                dropout=dropout,
            ),
            num_features=fc_hidden,
            input_channels=input_channels,
            input_size=input_size,
            heads_config=heads_config,
        )


def _build_backbone(
    image_shape: ImageShape,
    conv1_channels: int,
    conv2_channels: int,
    fc_hidden: int,
    dropout: float,
) -> nn.Module:
    channels, height, width = image_shape
    if min(height, width) < SMALLEST_SIDE:
        raise ConfigError(
            f"model.net: SimpleCNN halves each side three times, and the images are "
            f"{height}x{width} pixels; write a data.data_dir whose images are "
            f"{SMALLEST_SIDE}x{SMALLEST_SIDE} or larger, or another model.net"
        )
    # Two max-pools and the average halve each side, rounding down.
    flat_size = conv2_channels * (height // 8) * (width // 8)
    return nn.Sequential(
        _ChannelsLast(),
        *_conv_block(channels, conv1_channels),
        *_conv_block(conv1_channels, conv2_channels),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(flat_size, fc_hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
    )


def _conv_block(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    ]


class _ChannelsLast(nn.Module):
    """Lays images out as the convolutions read them; their values and shape stay."""

    @override
    def forward(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last)
