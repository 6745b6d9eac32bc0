"""What a run costs: the network's parameters, the arithmetic of an image, and images per second.

Networks of equally many parameters differ tenfold in arithmetic, and those of equal arithmetic in
speed, so each run states all three. Nothing here runs in a step: parameters and arithmetic are
counted once, and the clock is read at both ends of an epoch and of its validation.
"""

import copy
import time

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from typing_extensions import override

from mhray.models.classifiers import ImageShape


def count_parameters(net: nn.Module) -> int:
    """How many numbers training changes, those of the heads included.

    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def mflop_per_image(net: nn.Module, image_shape: ImageShape) -> float:
    """Million floating-point operations of one image's forward pass; a multiply-add is two.

    Convolutions, matrix products and attention count, as in PyTorch's `FlopCounterMode`;
    normalisation, activations and pooling do not. The network itself stays untouched.

    >>> mflop_per_image(nn.Sequential(nn.Flatten(), nn.Linear(192, 1000)), (3, 8, 8))
    0.384
    """
    # Shapes are all that matters, and on this device there is nothing else.
    twin = copy.deepcopy(net).to("meta", torch.float32).eval()
    image = torch.empty(1, *image_shape, device="meta")
    # The counter knows no fused attention of a CPU (torch 2.14). Gradients stay on: without them
    # nn.MultiheadAttention takes a path of its own that is not counted either.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        twin(image)
    return float(counter.get_total_flops()) / 1e6


class MeasureCost(Callback):
    """Counts at the start of training, and times the training part of each epoch.

    Attributes:
        network: `model/parameters` and `model/mflop_per_image`; empty before training.
        images_per_second: of the last epoch, of all workers together, without validation.
    """

    def __init__(self, global_batch: int) -> None:
        self.network: dict[str, float] = {}
        self.images_per_second = 0.0
        self._global_batch = global_batch
        self._started = 0.0
        self._paused = 0.0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        net: nn.Module = pl_module.net  # type: ignore[assignment]
        self.network = {
            "model/parameters": float(count_parameters(net)),
            "model/mflop_per_image": mflop_per_image(net, net.image_shape),  # type: ignore[arg-type]
        }

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = _now(pl_module)

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused = _now(pl_module)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started += _now(pl_module) - self._paused

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds = _now(pl_module) - self._started
        info = trainer.datamodule.get_dataset_info()  # type: ignore[attr-defined]
        batches = trainer.fit_loop.batch_idx + 1
        images = min(batches * self._global_batch, info["num_train_samples"])
        self.images_per_second = images / seconds


def _now(module: LightningModule) -> float:
    """The time, in seconds, at which the module's device has done what it was told to do."""
    if module.device.type != "cpu":
        torch.accelerator.synchronize(module.device)
    return time.monotonic()
