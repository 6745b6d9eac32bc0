"""How long a run's images take, timed on random ones for a few seconds: no data are needed.

A step is that of a run but for its loader and its Trainer, which together take a few percent.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from omegaconf import DictConfig
from torch.nn.functional import cross_entropy

from mhray.heads import Head, heads_config
from mhray.models.classifiers import ImageShape
from mhray.training.parts import build, build_part
from mhray.training.run import read_heads_of

WARM_UP = 3  # steps that are not timed: the first ones allocate


def seconds_per_image(config: DictConfig, seconds: float) -> float:
    """What training takes for each image, timed for about so many seconds after a warm-up.

    With as many threads as a trial has, on a GPU if trials have one and this process does.

    Raises:
        ConfigError: the network cannot be built for the data.
    """
    with _threads(max(1, int(config.per_worker.cpus))):
        step = _step_of(config, *read_heads_of(config))
        for _ in range(WARM_UP):
            step()
        steps, started = 0, time.monotonic()
        while time.monotonic() - started < seconds:
            step()
            steps += 1
        spent = time.monotonic() - started
    return spent / steps / int(config.data.batch_size)


@dataclass(frozen=True)
class GpuNeed:
    """How much of a GPU's memory was in use while one trial trained on it.

    Attributes:
        needed: bytes, with those of CUDA itself and of whatever else is on the GPU.
        total: bytes that the GPU has.
    """

    needed: int
    total: int


def gpu_need(config: DictConfig, heads: Sequence[Head], shape: ImageShape) -> GpuNeed:
    """What a run of this config takes of this process's GPU, seen after a few steps.

    Raises:
        torch.OutOfMemoryError: not even one fits.
    """
    step = _step_of(config, heads, shape)
    for _ in range(WARM_UP):
        step()
    free, total = torch.cuda.mem_get_info()
    return GpuNeed(total - free, total)


def _step_of(config: DictConfig, heads: Sequence[Head], shape: ImageShape) -> Callable[[], None]:
    """A training step on always the same random batch."""
    _, module = build(config)
    module.configure(shape, heads_config(heads))
    is_on_gpu = config.per_worker.gpus > 0 and torch.cuda.is_available()
    device = torch.device("cuda" if is_on_gpu else "cpu")
    net = module.net.to(device).train()
    optimizer = build_part(config.model.optimizer, "model.optimizer")(net.parameters())
    size = config.data.batch_size
    images = torch.randn(size, *shape, device=device)
    targets = {head.name: torch.randint(head.num_classes, (size,)) for head in heads}
    targets = {name: each.to(device) for name, each in targets.items()}

    def step() -> None:
        logits = net(images)
        losses = [cross_entropy(logits[n], targets[n]) for n in module.predicted.trained]
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(losses).sum())
        optimizer.step()
        if is_on_gpu:
            torch.cuda.synchronize()

    return step


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
