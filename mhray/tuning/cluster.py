"""The machines a sweep runs on: a cluster that is there, or a Ray of this machine's own."""

import os
from dataclasses import dataclass

import joblib
import ray
import torch

from mhray.training.connection import connected
from mhray.tuning.study import Resources


@dataclass(frozen=True)
class Capacity:
    """What can be shared out.

    Attributes:
        cpus: cores.
        gpus: GPUs.
        place: whose they are, for messages.
    """

    cpus: float
    gpus: float
    place: str


def capacity() -> Capacity:
    """What this machine has, or the cluster at ``RAY_ADDRESS`` if that is set.

    Raises:
        StorageError: no Ray answers at ``RAY_ADDRESS``.
    """
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        cores = joblib.cpu_count()
        return Capacity(cores, torch.cuda.device_count(), "this machine")
    with connected(needs_dashboard=False):
        total = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return Capacity(total.get("CPU", 0), total.get("GPU", 0), f"the cluster at {address}")


def parallel_trials(resources: Resources, available: Capacity) -> int:
    """How many trials run at a time: as asked, or as many as cores and GPUs allow.

    >>> parallel_trials(Resources(), Capacity(2, 0, "this machine"))
    2
    """
    if resources.parallel_trials != "auto":
        return resources.parallel_trials
    worker = resources.per_worker
    fit = available.cpus // (worker.cpus * resources.workers_per_trial)
    if worker.gpus > 0:
        fit = min(fit, available.gpus // (worker.gpus * resources.workers_per_trial))
    return max(1, int(fit))
