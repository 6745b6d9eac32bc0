"""ConvNeXt V2 for small images (Woo et al. 2023).

Blocks, norms and initialisation are the paper's, but for the linear layers of the heads, which all
networks share: they start as PyTorch's do. For images of 32x32 pixels its stem, which divides each
side by four, is a 3x3 convolution that keeps or halves them, and all transitions together halve
three times. StochasticDepth, Permute and LayerNorm2d are torchvision's; its own ConvNeXt is the
first version, whose blocks have a layer scale where these have GRN.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d
from torchvision.ops import Permute, StochasticDepth
from typing_extensions import override

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
EPS = 1e-6  # added to variances and norms, as in the paper's code


class ConvNeXt(MultiheadNetwork):
    """Four stages of blocks with `dim`, 2 `dim`, 4 `dim` and 8 `dim` channels.

    Each has `blocks` blocks, the third `stage_ratio` times as many. Where the stem halves the
    sides (`stem_stride` 2), the first of three transitions between the stages does not. Drop path
    grows with depth, up to `drop_path`. Images are of 16x16 pixels or more.
    """

    def __init__(
        self,
        input_channels: int | None = None,
        dim: int = 8,
        blocks: int = 1,
        stage_ratio: int = 1,
        kernel_size: int = 3,
        stem_stride: int = 1,
        mlp_ratio: int = 4,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        input_size: int | None = None,
        heads_config: Mapping[str, int] | None = None,
        parameter_budget: int | None = None,
    ) -> None:
        refuse_arguments(
            dim=whole(dim),
            blocks=whole(blocks),
            stage_ratio=whole(stage_ratio),
            kernel_size=odd(kernel_size),
            stem_stride=one_or_two(stem_stride),
            mlp_ratio=whole(mlp_ratio),
            drop_path=probability(drop_path),
            dropout=probability(dropout),
        )
        super().__init__(
            partial(
                _build_backbone,
                dim=dim,
                depths=(blocks, blocks, blocks * stage_ratio, blocks),
                make_block=partial(_Block, kernel_size=kernel_size, mlp_ratio=mlp_ratio),
                stem_stride=stem_stride,
                drop_path=drop_path,
                dropout=dropout,
            ),
            input_channels=input_channels,
            input_size=input_size,
            heads_config=heads_config,
            parameter_budget=parameter_budget,
        )


class GlobalResponseNorm(nn.Module):
    """Channels compete: each is scaled by its norm over all pixels, relative to the others'.

    Woo et al. 2023, algorithm 1, with its three sums in one: gamma * (x * n) + beta + x. Images:
    (batch, height, width, channels).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    @override
    def forward(self, images: Tensor) -> Tensor:
        norms = torch.linalg.vector_norm(images, dim=(1, 2), keepdim=True)
        relative = norms / (norms.mean(dim=-1, keepdim=True) + EPS)
        return torch.addcmul(self.beta, images, 1 + self.gamma * relative)


class _Block(nn.Module):
    def __init__(self, channels: int, kernel_size: int, mlp_ratio: int, drop_path: float) -> None:
        super().__init__()
        hidden = mlp_ratio * channels
        self.residual = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels),
            Permute([0, 2, 3, 1]),
            nn.LayerNorm(channels, eps=EPS),
            nn.Linear(channels, hidden),
            nn.GELU(),
            GlobalResponseNorm(hidden),
            nn.Linear(hidden, channels),
            Permute([0, 3, 1, 2]),
            StochasticDepth(drop_path, mode="row"),
        )

    @override
    def forward(self, images: Tensor) -> Tensor:
        residual: Tensor = self.residual(images)
        return images + residual


def _build_backbone(
    image_shape: ImageShape,
    width_scale: float,
    dim: int,
    depths: tuple[int, ...],
    make_block: partial[_Block],
    stem_stride: int,
    drop_path: float,
    dropout: float,
) -> Backbone:
    refuse_small_images("ConvNeXt", image_shape, SMALLEST_SIDE)
    widths = [scaled(dim * 2**stage, width_scale) for stage in range(len(depths))]
    layers = [
        ChannelsLast(),
        nn.Conv2d(image_shape[0], widths[0], kernel_size=3, stride=stem_stride, padding=1),
        LayerNorm2d(widths[0], eps=EPS),
    ]
    drops = drop_path_rates(drop_path, sum(depths))
    for stage, depth in enumerate(depths):
        if stage > 0:
            stride = 1 if stage < stem_stride else 2
            layers += _transition(widths[stage - 1], widths[stage], stride)
        layers += [make_block(widths[stage], drop_path=next(drops)) for _ in range(depth)]
    backbone = nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(widths[-1], eps=EPS),
        nn.Dropout(dropout),
    )
    backbone.apply(_initialise)
    return backbone, widths[-1]


def _transition(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [
        LayerNorm2d(in_channels, eps=EPS),
        nn.Conv2d(in_channels, out_channels, kernel_size=stride, stride=stride),
    ]


def _initialise(module: nn.Module) -> None:
    """The paper's code: normal weights. It truncates them at 100 deviations, which none reaches."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.get_parameter("bias"))
