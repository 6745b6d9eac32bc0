"""SimpleCNN: two convolutions and one hidden layer.

Written in the fast one of two equal forms. Against the usual order (convolution with bias,
BatchNorm, ReLU, max-pool, in NCHW) a step takes half the time on a CPU, and the function is the
same: BatchNorm subtracts whatever bias the convolution adds, ReLU commutes with the maximum (and
is cheaper on the pooled map), and channels_last only changes how numbers lie in memory.
"""

from collections.abc import Mapping
from functools import partial

from torch import nn

from mhray.models.budget import scaled
from mhray.models.classifiers import Backbone, ImageShape, MultiheadNetwork
from mhray.models.layers import NORMS, ChannelsLast, MakeNorm, norm_kind
from mhray.models.refusals import probability, refuse_arguments, refuse_small_images, whole

SMALLEST_SIDE = 8  # pixels: what three halvings make one of


class SimpleCNN(MultiheadNetwork):
    """Two blocks of 3x3 convolution, normalisation, ReLU and max-pool, then one hidden layer.

    `norm` is `batch`, or `group`, which knows nothing of the other images of a batch and so trains
    the same on any number of workers.

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
        norm: str = "batch",
        heads_config: Mapping[str, int] | None = None,
        parameter_budget: int | None = None,
    ) -> None:
        refuse_arguments(
            conv1_channels=whole(conv1_channels),
            conv2_channels=whole(conv2_channels),
            fc_hidden=whole(fc_hidden),
            dropout=probability(dropout),
            norm=norm_kind(norm),
        )
        super().__init__(
            partial(
                _build_backbone,
                conv1_channels=conv1_channels,
                conv2_channels=conv2_channels,
                fc_hidden=fc_hidden,
                dropout=dropout,
                make_norm=NORMS[norm],
            ),
            input_channels=input_channels,
            input_size=input_size,
            heads_config=heads_config,
            parameter_budget=parameter_budget,
        )


def _build_backbone(
    image_shape: ImageShape,
    width_scale: float,
    conv1_channels: int,
    conv2_channels: int,
    fc_hidden: int,
    dropout: float,
    make_norm: MakeNorm,
) -> Backbone:
    refuse_small_images("SimpleCNN", image_shape, SMALLEST_SIDE)
    channels, height, width = image_shape
    widths = conv1_channels, conv2_channels, fc_hidden
    conv1, conv2, hidden = (scaled(each, width_scale) for each in widths)
    # Two max-pools and the average halve each side, rounding down.
    flat_size = conv2 * (height // 8) * (width // 8)
    layers = nn.Sequential(
        ChannelsLast(),
        *_conv_block(channels, conv1, make_norm),
        *_conv_block(conv1, conv2, make_norm),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(flat_size, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
    )
    return layers, hidden


def _conv_block(in_channels: int, out_channels: int, make_norm: MakeNorm) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        make_norm(out_channels),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    ]
