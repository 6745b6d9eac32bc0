"""What the sections of a config describe, built: data, network, Trainer and loggers."""

import logging
import warnings
from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig

from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.errors import ConfigError, MhrayError
from mhray.models.module import MultiheadLitModule
from mhray.training.unknown_keys import unknown_arguments


def build(config: DictConfig) -> tuple[CIFAR100MHDataModule, MultiheadLitModule]:
    """The data module and the Lightning module that a config describes."""
    return build_part(config.data, "data"), build_part(config.model, "model")


def build_trainer(
    config: DictConfig, callbacks: list[Any], executor: Mapping[str, Any] | None
) -> Trainer:
    """The Trainer that a config describes, on the devices that the executor gives it.

    Without one it is alone, also in a job of SLURM, where Lightning would count the job's tasks.
    """
    # At INFO Lightning announces devices, and products that one might buy.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Ray starts the processes, also where SLURM could.
    warnings.filterwarnings("ignore", message="The `srun` command is available")
    extra = {"devices": 1, **(executor or {})}
    if "plugins" not in {*extra, *config.trainer}:
        extra["plugins"] = [LightningEnvironment()]
    trainer: Trainer = build_part(config.trainer, "trainer", callbacks=callbacks, **extra)
    return trainer


def build_part(node: Any, name: str, **extra: Any) -> Any:
    """What a config's node describes; ``name`` is its path, for the error.

    Raises:
        ConfigError: it cannot be made, or has keys that nothing reads.
    """
    if isinstance(node, DictConfig) and (unknown := list(unknown_arguments(node, name))):
        raise ConfigError("\n".join(unknown))
    try:
        return instantiate(node, _convert_="all", **extra)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, MhrayError):
            raise cause from None
        needs_package = isinstance(cause, ModuleNotFoundError)
        remedy = "install the package that is missing" if needs_package else "`--cfg job` prints it"
        raise ConfigError(f"{name}: {cause}; {remedy}") from error
