"""Everything that makes a trained network usable again, and the network as its users see it.

The network is rebuilt from its class and arguments, and its weights are plain tensors: nothing that
is read has to be trusted. `torch.export` would need no class, but every network would have to be
exportable, it takes 2 s, and it warns about channels_last weights; TorchScript is deprecated.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from typing_extensions import override

from mhray.errors import ConfigError
from mhray.heads import Head, Implication, heads_config
from mhray.models.classifiers import MultiheadNetwork
from mhray.models.predicted_heads import PredictedHeads


class NetworkSpec(BaseModel, frozen=True, extra="forbid"):
    """Everything that makes a network usable again, its weights aside.

    Attributes:
        network: the class, with its module: `model.net._target_` of a run's config.
        arguments: of the class: the rest of `model.net`, as plain data.
        heads: of the data.
        train_heads: those that were trained; all of them if `None`.
        implied_heads: of each head that others imply, how.
        image_shape: `(channels, height, width)`, the last two in pixels.
        channel_mean: subtracted from pixels in `[0, 1]`, one value per channel.
        channel_std: what the difference is divided by.
    """

    network: str
    arguments: dict[str, Any]
    heads: tuple[Head, ...]
    image_shape: tuple[int, int, int]
    channel_mean: tuple[float, ...]
    channel_std: tuple[float, ...]
    train_heads: tuple[str, ...] | None = None
    implied_heads: dict[str, tuple[Implication, ...]] = {}

    def build(self, weights: Mapping[str, Tensor]) -> MultiheadNetwork:
        """The network with these weights, in evaluation mode, on the CPU.

        Raises:
            ConfigError: `network` is no network of ours; nothing of it was called.
        """
        module, _, name = self.network.rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        if not (isinstance(kind, type) and issubclass(kind, MultiheadNetwork)):
            raise ConfigError(
                f"network.json: {self.network} is no network; name a subclass of MultiheadNetwork"
            )
        network: MultiheadNetwork = kind(**self.arguments)
        network.configure(self.image_shape, heads_config(self.heads))
        network.load_state_dict(dict(weights))
        return network.eval()

    def answered(self) -> tuple[Head, ...]:
        """The heads that are predicted, in the order of the data."""
        names = self.predicted().names
        return tuple(head for head in self.heads if head.name in names)

    def predicted(self) -> PredictedHeads:
        """What takes the network's logits to those of the heads that are predicted."""
        return PredictedHeads(heads_config(self.heads), self.train_heads, self.implied_heads)


class RawNetwork(nn.Module):
    """A network that takes images as they are stored; layout and normalisation are its own.

    Images `(N, height, width, channels)` of uint8 become logits `(N, classes)` of each predicted
    head.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: NetworkSpec, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network = spec.build(weights)
        self.predicted = spec.predicted()
        self.register_buffer("mean", torch.tensor(spec.channel_mean))
        self.register_buffer("std", torch.tensor(spec.channel_std))
        self.eval()

    @override
    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        images = ((pixels / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
        logits = self.predicted(self.network(images))
        return {name: logits[name] for name in self.predicted.names}


def read_network(spec: Path, weights: Path) -> tuple[NetworkSpec, RawNetwork]:
    """A network out of its two files; no pickle in them is trusted."""
    known = NetworkSpec.model_validate_json(spec.read_text(encoding="utf-8"))
    saved = torch.load(weights, map_location="cpu", weights_only=True)
    return known, RawNetwork(known, saved)
