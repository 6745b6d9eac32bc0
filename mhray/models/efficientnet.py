"""EfficientNet for small images (Tan & Le 2019).

The stem, the first four stages and the last convolution of EfficientNet-B0, with torchvision's
MBConv and squeeze-excitation and its initialisation. B0 halves the sides five times, which leaves
one pixel of 32; here they are halved three times, and the later stages are left out. The stem has
as many channels as the first stage, where B0's has twice as many. Depth, kernel and expansion are
the same in all stages, so that each is one number to search.
"""

from collections.abc import Mapping
from functools import partial

from torch import nn
from torchvision.models.efficientnet import MBConv, MBConvConfig
from torchvision.ops import Conv2dNormActivation

from mhray.models.budget import scaled
from mhray.models.classifiers import Backbone, ImageShape, MultiheadNetwork
from mhray.models.layers import ChannelsLast, drop_path_rates
from mhray.models.refusals import (
    odd,
    one_or_two,
    probability,
    refuse_arguments,
    refuse_small_images,
    whole,
)

SMALLEST_SIDE = 16  # pixels: what three halvings make two of

_RATIOS = (1.0, 1.5, 2.5, 5.0)  # of B0's first stages: 16, 24, 40 and 80 channels


class EfficientNet(MultiheadNetwork):
    """Four stages of `blocks` blocks, with `width` times 1, 1.5, 2.5 and 5 channels.

    A block expands its channels by `expand_ratio`, those of the first stage by 1, rounded to eights
    as in torchvision. The last two stages halve the sides, and so does the stem, or the second
    stage if `stem_stride` is 1. Drop path grows with depth, up to `drop_path`. The first block of a
    stage has no path around it, but that of the first stage, which is never dropped; so `drop_path`
    says something only where there are two `blocks` or more. Images are of 16x16 pixels or more.
    """

    def __init__(
        self,
        input_channels: int | None = None,
        width: int = 12,
        blocks: int = 1,
        expand_ratio: int = 4,
        kernel_size: int = 3,
        stem_stride: int = 2,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        input_size: int | None = None,
        heads_config: Mapping[str, int] | None = None,
        parameter_budget: int | None = None,
    ) -> None:
        refuse_arguments(
            width=whole(width),
            blocks=whole(blocks),
            expand_ratio=whole(expand_ratio),
            kernel_size=odd(kernel_size),
            stem_stride=one_or_two(stem_stride),
            drop_path=probability(drop_path),
            dropout=probability(dropout),
        )
        super().__init__(
            partial(
                _build_backbone,
                width=width,
                blocks=blocks,
                expand_ratio=expand_ratio,
                kernel_size=kernel_size,
                stem_stride=stem_stride,
                drop_path=drop_path,
                dropout=dropout,
            ),
            input_channels=input_channels,
            input_size=input_size,
            heads_config=heads_config,
            parameter_budget=parameter_budget,
        )


def _build_backbone(
    image_shape: ImageShape,
    width_scale: float,
    width: int,
    blocks: int,
    expand_ratio: int,
    kernel_size: int,
    stem_stride: int,
    drop_path: float,
    dropout: float,
) -> Backbone:
    refuse_small_images("EfficientNet", image_shape, SMALLEST_SIDE)
    widths = [scaled(width * ratio, width_scale) for ratio in _RATIOS]
    strides = (1, 2 // stem_stride, 2, 2)
    drops = drop_path_rates(drop_path, len(widths) * blocks)
    layers = [ChannelsLast(), _convolution(image_shape[0], widths[0], 3, stem_stride)]
    channels = widths[0]
    for stage, out_channels in enumerate(widths):
        for block in range(blocks):
            config = _block_config(
                expand_ratio=expand_ratio if stage > 0 else 1,
                kernel=kernel_size,
                stride=strides[stage] if block == 0 else 1,
                input_channels=channels,
                out_channels=out_channels,
            )
            layers.append(MBConv(config, next(drops), norm_layer=nn.BatchNorm2d))
            channels = out_channels
    num_features = 4 * channels
    backbone = nn.Sequential(
        *layers,
        _convolution(channels, num_features, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
    )
    backbone.apply(_initialise)
    return backbone, num_features


def _convolution(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
) -> nn.Module:
    layers: nn.Module = Conv2dNormActivation(
        in_channels, out_channels, kernel_size, stride, activation_layer=nn.SiLU
    )
    return layers


def _block_config(input_channels: int, out_channels: int, **settings: int) -> MBConvConfig:
    config = MBConvConfig(input_channels=8, out_channels=8, num_layers=1, **settings)
    # Given to the constructor, they would be rounded to eights: too coarse for so few channels.
    config.input_channels, config.out_channels = input_channels, out_channels
    return config


def _initialise(module: nn.Module) -> None:
    """As torchvision does; the norms are right as they are made."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
