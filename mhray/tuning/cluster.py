"""The machines a sweep runs on: a cluster that is there, or a Ray of this machine's own."""

from collections.abc import Iterator

import joblib
import torch

from mhray.training.ray_address import RunningRay
from mhray.training.sizes import memory_of_this_machine
from mhray.tuning.autoscaler import brought_by_kuberay, brought_by_ray, node_of
from mhray.tuning.capacity import Capacity, Node


def capacity(ray_there: RunningRay | None) -> Capacity:
    """What this machine has, or the cluster of a Ray that runs.

    Raises:
        StorageError: it does not answer.
    """
    if ray_there:
        return _capacity_of_the_cluster(ray_there)
    cores, gpus = joblib.cpu_count(), torch.cuda.device_count()
    return Capacity(cores, gpus, "this machine", memory_of_this_machine())


def _capacity_of_the_cluster(ray_there: RunningRay) -> Capacity:
    import ray  # noqa: PLC0415  takes a second, and where there is no cluster nobody needs it
    from ray._private.state import state  # noqa: PLC0415

    from mhray.training.connection import connected  # noqa: PLC0415  imports Ray

    with connected(ray_there, needs_dashboard=False):
        there = [node_of(node["Resources"]) for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        address, config = ray.get_runtime_context().gcs_address, state.get_cluster_config()
    brought = [
        *brought_by_ray(address),
        *brought_by_kuberay(config.node_group_configs if config else ()),
    ]
    return Capacity.of_nodes(_together(there, brought), ray_there.place, ray_there.found_by)


def _together(there: list[Node], brought: list[Node]) -> Iterator[Node]:
    """The nodes of a cluster at its largest: those that are there are among those of their group.

    >>> list(_together([Node(0, 0), Node(8, 1)], [Node(8, 1, count=4)]))
    [Node(cpus=0, gpus=0, memory=inf, count=1), Node(cpus=8, gpus=1, memory=inf, count=4)]
    """
    groups = {(node.cpus, node.gpus) for node in brought}
    yield from (node for node in there if (node.cpus, node.gpus) not in groups)
    yield from brought
