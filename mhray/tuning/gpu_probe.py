"""What one trial of a study needs of a GPU, measured on one of the sweep's own.

In a process of Ray's that ends with it, since CUDA keeps memory for as long as its process lives.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import ray
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mhray.heads import Head
from mhray.models.classifiers import ImageShape
from mhray.training.load import split_sizes
from mhray.training.run import compose_run, read_heads_of
from mhray.training.timing import GpuNeed, gpu_need
from mhray.tuning.admission import working
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.draws import networks_of
from mhray.tuning.packing import packed, shares_gpus, too_small


def packed_study(checked: CheckedStudy, console: Console) -> CheckedStudy:
    """The study with as many trials on a GPU as have room there; says so if they are fewer.

    Raises:
        ConfigError: not even one has.
    """
    resources = checked.study.resources
    if not shares_gpus(resources):
        return checked
    with working(checked):
        need = _largest_need(checked)
    packing = packed(resources, need)
    if packing.reason:
        console.print(f"resources: {packing.reason}", markup=False, soft_wrap=True)
    study = checked.study.model_copy(update={"resources": packing.resources})
    return replace(checked, study=study)


def _largest_need(checked: CheckedStudy) -> GpuNeed:
    """Of the network with the most arithmetic in a batch, of a few that the study may draw."""
    compose = partial(compose_run, config_dir=checked.config_dir)
    networks = networks_of(checked.study, compose)
    largest = max(networks, key=lambda each: each.load.mflop * each.load.batch_size)
    config = compose(largest.overrides)
    worker = checked.study.resources.per_worker
    measure = ray.remote(num_cpus=worker.cpus, num_gpus=worker.gpus, max_calls=1)(_measure)
    _, shape = read_heads_of(config)
    plain = OmegaConf.to_container(config)
    need: GpuNeed = ray.get(measure.remote(plain, checked.heads, shape))
    if need.needed >= need.total:
        raise too_small("one trial needs all of its memory", need.total)
    return replace(need, needed=need.needed + _resident_bytes(config, shape))


def _resident_bytes(config: DictConfig, shape: ImageShape) -> int:
    """Those of the images, which the steps that are measured do without."""
    return sum(split_sizes(config)) * prod(shape) if config.data.get("on_device") else 0


def _measure(config: Any, heads: Sequence[Head], shape: ImageShape) -> GpuNeed:
    try:
        return gpu_need(_as_config(config), heads, shape)
    except torch.OutOfMemoryError:
        _, total = torch.cuda.mem_get_info()
        return GpuNeed(total, total)


def _as_config(plain: Any) -> DictConfig:
    config: DictConfig = OmegaConf.create(plain)
    return config
