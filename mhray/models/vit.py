"""A vision transformer for small images (Dosovitskiy et al. 2021), with torchvision's encoder.

torchvision's own takes square images with three channels that a patch divides, and a class token.
This one takes any images, and instead of the token's features the mean of the patches', which the
paper's appendix D.3 found as good, and Beyer et al. 2022 better.
"""

from collections.abc import Mapping
from functools import partial
from math import ceil

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.vision_transformer import Encoder
from torchvision.ops import Permute
from typing_extensions import override

from mhray.errors import ConfigError
from mhray.models.budget import scaled
from mhray.models.classifiers import Backbone, ImageShape, MultiheadNetwork
from mhray.models.refusals import Argument, probability, refuse_arguments, whole


class VisionTransformer(MultiheadNetwork):
    """`layers` blocks of attention and MLP over the patches, with `dim` features of each.

    The MLP has `mlp_ratio` times as many. A patch has `patch_size` pixels on a side, fewer than the
    longer side of the images. Where patches do not divide a side, it is padded at both ends with
    zeros, which of normalised images is the mean pixel. `dim` is a multiple of `attention_heads`.
    With a parameter budget it need not be: the budget is met in steps of `attention_heads`, so the
    more of these, the fewer budgets there are.
    """

    def __init__(
        self,
        input_channels: int | None = None,
        patch_size: int = 8,
        dim: int = 32,
        layers: int = 6,
        attention_heads: int = 4,
        mlp_ratio: int = 2,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        input_size: int | None = None,
        heads_config: Mapping[str, int] | None = None,
        parameter_budget: int | None = None,
    ) -> None:
        refuse_arguments(
            patch_size=whole(patch_size),
            dim=whole(dim),
            layers=whole(layers),
            attention_heads=whole(attention_heads),
            mlp_ratio=whole(mlp_ratio),
            dropout=probability(dropout),
            attention_dropout=probability(attention_dropout),
        )
        if parameter_budget is None:
            refuse_arguments(dim=_multiple(dim, attention_heads))
        super().__init__(
            partial(
                _build_backbone,
                patch_size=patch_size,
                dim=dim,
                attention_heads=attention_heads,
                mlp_ratio=mlp_ratio,
                make_encoder=partial(
                    Encoder,
                    num_layers=layers,
                    num_heads=attention_heads,
                    dropout=dropout,
                    attention_dropout=attention_dropout,
                ),
            ),
            input_channels=input_channels,
            input_size=input_size,
            heads_config=heads_config,
            parameter_budget=parameter_budget,
        )


def _multiple(dim: int, attention_heads: int) -> Argument:
    fits = dim % attention_heads == 0
    return Argument(dim, fits, f"a multiple of attention_heads, which is {attention_heads}")


def _build_backbone(
    image_shape: ImageShape,
    width_scale: float,
    patch_size: int,
    dim: int,
    attention_heads: int,
    mlp_ratio: int,
    make_encoder: partial[Encoder],
) -> Backbone:
    channels, height, width = image_shape
    if patch_size >= max(height, width):
        raise _too_large_a_patch(patch_size, height, width)
    hidden = scaled(dim, width_scale, multiple=attention_heads)
    # Half of what is missing at each end; an odd one's last row of zeros fills no patch.
    padding = ceil(-height % patch_size / 2), ceil(-width % patch_size / 2)
    embedding = nn.Conv2d(channels, hidden, patch_size, stride=patch_size, padding=padding)
    # torchvision's initialisation: each feature has the variance of the pixels.
    nn.init.normal_(embedding.weight, std=(channels * patch_size**2) ** -0.5)
    nn.init.zeros_(embedding.get_parameter("bias"))
    num_patches = ceil(height / patch_size) * ceil(width / patch_size)
    encoder = make_encoder(seq_length=num_patches, hidden_dim=hidden, mlp_dim=mlp_ratio * hidden)
    for block in encoder.layers:
        block.self_attention = _SelfAttention(block.self_attention)
    layers = nn.Sequential(
        embedding,
        nn.Flatten(start_dim=2),
        Permute([0, 2, 1]),
        encoder,
        _MeanOfPatches(),
    )
    return layers, hidden


def _too_large_a_patch(patch_size: int, height: int, width: int) -> ConfigError:
    largest = max(height, width) - 1
    remedy = f"{largest} or less" if largest else "a data.data_dir whose images are larger"
    return ConfigError(
        f"model.net.patch_size: {patch_size}, but the images are {height}x{width} pixels, which "
        f"are one patch; write {remedy}"
    )


class _SelfAttention(nn.Module):
    """The same attention with the same parameters, where query, key and value are one tensor.

    `nn.MultiheadAttention` cannot know that they are, and copies all three (torch 2.14).
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.in_proj_weight = attention.in_proj_weight
        self.in_proj_bias = attention.in_proj_bias
        self.out_proj = attention.out_proj
        self.num_heads = attention.num_heads
        self.dropout = attention.dropout

    @override
    def forward(
        self, features: Tensor, *_others: Tensor, need_weights: bool
    ) -> tuple[Tensor, None]:
        """Attended features (batch, patches, features), in the form in which the encoder asks."""
        projected = functional.linear(features, self.in_proj_weight, self.in_proj_bias)
        batch, patches, _ = projected.shape
        split = projected.view(batch, patches, 3, self.num_heads, -1)
        query, key, value = split.transpose(1, 3).unbind(2)
        attended = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out_proj(attended.transpose(1, 2).flatten(start_dim=2)), None


class _MeanOfPatches(nn.Module):
    """The mean of (batch, patches, features) over the patches."""

    @override
    def forward(self, features: Tensor) -> Tensor:
        return features.mean(dim=1)
