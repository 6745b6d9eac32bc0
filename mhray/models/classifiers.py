"""The heads' layers that sit on every network, and what all networks share.

A network is a backbone, which turns images into features, and one linear layer per head. The data
know the shape of the images and the heads, so a network may be made before the data are seen:
`configure` tells it, and builds its layers. With a parameter budget it also solves how wide they
are, which only then is known to fit.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from typing_extensions import override

from mhray.errors import ConfigError
from mhray.models.budget import solve_width_scale
from mhray.models.refusals import refuse_arguments, whole

# (channels, height, width), the last two in pixels
ImageShape: TypeAlias = tuple[int, int, int]
# images (batch, channels, height, width) to features (batch, features), and how many features
Backbone: TypeAlias = tuple[nn.Sequential, int]


class ModulePerHead(nn.ModuleDict):
    """One module per head, whatever the head is called.

    `nn.ModuleDict` refuses names that a module has as attributes, such as `type` or `train`.
    """

    @override
    def __setitem__(self, key: str, module: nn.Module) -> None:
        self._modules[key] = module


class MultiheadNetwork(nn.Module):
    """Images (batch, channels, height, width) in, {head: logits (batch, classes)} out.

    A subclass says how the backbone for images of some shape is built when all its widths are
    multiplied by a factor. What is left `None` is taken from the data by `configure`; if nothing
    is, the layers are built at once. Either way the same seed gives the same parameters. The
    factor is 1 unless there is a `parameter_budget`: backbone and heads together then have that
    many parameters within 10 %.

    Attributes:
        heads_config: the number of classes of each head; `None` until it is known.
        image_shape: what the layers were built for; `None` until then.
        width_scale: the factor of all widths.
    """

    def __init__(
        self,
        build_backbone: Callable[[ImageShape, float], Backbone],
        *,
        input_channels: int | None,
        input_size: int | None,
        heads_config: Mapping[str, int] | None,
        parameter_budget: int | None = None,
    ) -> None:
        super().__init__()
        if parameter_budget is not None:
            refuse_arguments(parameter_budget=whole(parameter_budget))
        self.heads_config = dict(heads_config) if heads_config else None
        self.image_shape: ImageShape | None = None
        self.width_scale = 1.0
        self.backbone: nn.Module = _NotBuilt()
        self.heads = ModulePerHead()
        self._build_backbone = build_backbone
        self._input_channels = input_channels
        self._input_size = input_size
        self._parameter_budget = parameter_budget
        # Drawn now: what is drawn between now and set-up must not change the parameters.
        self._init_seed = int(torch.randint(2**62, ()))
        if input_channels and input_size and heads_config:
            self.configure((input_channels, input_size, input_size), heads_config)

    def configure(self, image_shape: ImageShape, heads_config: Mapping[str, int]) -> dict[str, int]:
        """Builds the layers, unless they are built already, and returns the heads in their order.

        Raises:
            ConfigError: the network was made for other images or other heads, or cannot be built
                for these; or no width has as many parameters as the budget says.
        """
        self._refuse_conflicts(image_shape, heads_config)
        heads = self.heads_config = self.heads_config or dict(heads_config)
        if self.image_shape is None:
            with torch.random.fork_rng(devices=[]):
                if self._parameter_budget is not None:
                    count_at = partial(self._count_parameters, image_shape, heads)
                    self.width_scale = solve_width_scale(count_at, self._parameter_budget)
                torch.default_generator.manual_seed(self._init_seed)
                self.backbone, self.heads = self._make_layers(image_shape, heads, self.width_scale)
            self.image_shape = image_shape
        return heads

    @override
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.backbone(images)
        return {name: head(features) for name, head in self.heads.items()}

    def _refuse_conflicts(self, shape: ImageShape, heads_config: Mapping[str, int]) -> None:
        channels, height, width = shape
        size = f"{height}x{width}"
        problems = []
        if self._input_channels not in {None, channels}:
            problems.append(
                f"model.net.input_channels: {self._input_channels}, but the data's images have "
                f"{channels} channels; write model.net.input_channels={channels}"
            )
        if self._input_size is not None and {self._input_size} != {height, width}:
            remedy = height if height == width else "null"
            problems.append(
                f"model.net.input_size: {self._input_size}, but the data's images are {size} "
                f"pixels; write model.net.input_size={remedy}"
            )
        if self.heads_config not in (None, heads_config):
            problems.append(
                f"model.net.heads_config: {self.heads_config}, but the data's heads are "
                f"{dict(heads_config)}; write model.net.heads_config=null"
            )
        if not problems and self.image_shape not in {None, shape}:
            problems.append(
                f"model.net: built for images of shape {self.image_shape}, but the data's are "
                f"{shape}; make a new network for them"
            )
        if problems:
            raise ConfigError("\n".join(problems))

    def _make_layers(
        self, image_shape: ImageShape, heads_config: Mapping[str, int], width_scale: float
    ) -> tuple[nn.Module, ModulePerHead]:
        backbone, num_features = self._build_backbone(image_shape, width_scale)
        heads = ModulePerHead()
        for name, num_classes in heads_config.items():
            heads[name] = nn.Linear(num_features, num_classes)
        return backbone, heads

    def _count_parameters(
        self, image_shape: ImageShape, heads_config: Mapping[str, int], width_scale: float
    ) -> int:
        with torch.device("meta"):
            layers = self._make_layers(image_shape, heads_config, width_scale)
        return sum(parameter.numel() for part in layers for parameter in part.parameters())


class _NotBuilt(nn.Module):
    """Stands where the backbone will be."""

    @override
    def forward(self, images: Tensor) -> Tensor:
        raise ConfigError(
            "model.net: its layers are not built yet; give input_channels, input_size and "
            "heads_config, or call configure with the data's image shape and heads"
        )
