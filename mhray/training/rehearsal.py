"""One step of a run on random images, so that what does not fit is told before anything is opened.

A network, an optimiser and a schedule tell what they refuse only once they are built, and some of
it in a library's words; by then loggers are open and a run would stand there as failed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning import Trainer
from omegaconf import DictConfig
from torch.optim import Optimizer

from mhray.errors import ConfigError
from mhray.models.classifiers import ImageShape
from mhray.models.module import MultiheadLitModule
from mhray.models.optimisation import check_clipping
from mhray.training.resume import check_checkpoint


def rehearse(
    config: DictConfig,
    module: MultiheadLitModule,
    make_optimizer: Callable[..., Optimizer],
    trainer: Trainer,
    shape: ImageShape,
) -> None:
    """Optimiser, schedule, checkpoint, forward and backward of a module that is configured.

    Raises:
        ConfigError: one of them does not fit the others.
    """
    if trainer.gradient_clip_val:
        check_clipping(make_optimizer, trainer.precision)
    with _refusing_arguments("model.optimizer"):
        optimizer = make_optimizer(module.parameters())
    with _refusing_arguments("model.scheduler"):
        module.configure_optimizers()
    if config.ckpt_path:
        check_checkpoint(Path(config.ckpt_path), module, optimizer, config.trainer.max_epochs)
    with _one_thread():
        logits = module.net(torch.randn(2, *shape))
        total = torch.stack([logits[name].sum() for name in module.predicted.trained]).sum()
        torch.autograd.backward(total)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on busy cores make a step of milliseconds one of seconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _refusing_arguments(where: str) -> Iterator[None]:
    """Turns what PyTorch says of arguments into a ConfigError that says whose they are."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}; `--cfg job` prints it") from error
