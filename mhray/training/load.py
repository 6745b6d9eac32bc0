"""What decides how long an epoch of a run takes: its network, its images and its batches.

Two runs of equal load are as fast as each other on one machine, whatever their loss weights and
learning rates are. To count a network's parameters and arithmetic no image is needed.
"""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pydantic import BaseModel, ConfigDict

from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.data.sources import source_named
from mhray.heads import heads_config
from mhray.models.classifiers import ImageShape
from mhray.training.cost import count_parameters, mflop_per_image
from mhray.training.parts import build
from mhray.training.run import read_heads_of

# Of the arithmetic of training on an image, what validation of one takes: no backward pass.
VALIDATION = 1 / 3


class Load(BaseModel):
    """What decides the speed of a run.

    Attributes:
        network: the name of its class.
        parameters: that training changes.
        mflop: of an image's forward pass, in millions.
        image_shape: ``(channels, height, width)``.
        batch_size: images of all workers together.
        workers: processes that train the model.
        cpus: of each worker, and so its threads.
        gpus: of each worker.
    """

    model_config = ConfigDict(frozen=True)

    network: str
    parameters: int
    mflop: float
    image_shape: tuple[int, int, int]
    batch_size: int
    workers: int
    cpus: float
    gpus: float

    @classmethod
    def of(cls, config: DictConfig, shape: ImageShape, parameters: float, mflop: float) -> "Load":
        """The load of a run whose network was counted."""
        return cls(
            network=str(config.model.net["_target_"]).rpartition(".")[2],
            parameters=int(parameters),
            mflop=mflop,
            image_shape=shape,
            batch_size=config.data.batch_size,
            workers=config.workers,
            cpus=config.per_worker.cpus,
            gpus=config.per_worker.gpus,
        )


def count_load(config: DictConfig) -> Load:
    """The load of a run; its network is built and counted.

    Raises:
        ConfigError: the network cannot be built for its data.
    """
    heads, shape = read_heads_of(config)
    _, module = build(config)
    module.configure(shape, heads_config(heads))
    return Load.of(config, shape, count_parameters(module.net), mflop_per_image(module.net, shape))


def images_per_epoch(config: DictConfig) -> float:
    """How many images an epoch of a run is worth; one of validation counts for a third."""
    train, val = split_sizes(config)
    batch = config.data.batch_size
    return _limited(train, batch, config.trainer.limit_train_batches) + VALIDATION * _limited(
        val, batch, config.trainer.limit_val_batches
    )


def split_sizes(config: DictConfig) -> tuple[int, int]:
    """How many training and validation images a run has, whether or not they are built yet."""
    directory = Path(config.data.data_dir)
    if not directory.is_dir():
        samples = source_named(config.data.source).train_samples
        val = round(samples * config.data.val_fraction)
        return samples - val, val
    split = {"val_fraction": config.data.val_fraction, "seed": config.data.seed}
    info = CIFAR100MHDataModule(directory, **split).get_dataset_info()
    return info["num_train_samples"], info["num_val_samples"]


def _limited(images: int, batch: int, limit: Any) -> int:
    """The images in so many batches, or in such a share of all batches.

    >>> _limited(640, 64, None), _limited(640, 64, 2), _limited(640, 64, 0.5)
    (640, 128, 320)
    """
    if limit is None:
        return images
    batches = limit if isinstance(limit, int) else int(limit * -(-images // batch))
    return min(images, batch * batches)
