"""The machines a sweep runs on: a cluster that is there, or a Ray of this machine's own."""

import os

import joblib
import torch

from mhray.training.sizes import memory_of_this_machine
from mhray.tuning.capacity import Capacity


def capacity() -> Capacity:
    """What this machine has, or the cluster at ``RAY_ADDRESS`` if that is set.

    Raises:
        StorageError: no Ray answers at ``RAY_ADDRESS``.
    """
    if address := os.environ.get("RAY_ADDRESS"):
        return _capacity_of_the_cluster(address)
    cores, gpus = joblib.cpu_count(), torch.cuda.device_count()
    return Capacity(cores, gpus, "this machine", memory_of_this_machine())


def _capacity_of_the_cluster(address: str) -> Capacity:
    import ray  # noqa: PLC0415  takes a second, and where there is no cluster nobody needs it

    from mhray.training.connection import connected  # noqa: PLC0415  imports Ray

    with connected(needs_dashboard=False):
        total = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus, gpus, memory = (total.get(kind, 0) for kind in ("CPU", "GPU", "memory"))
    return Capacity(cpus, gpus, f"the cluster at {address}", memory)
