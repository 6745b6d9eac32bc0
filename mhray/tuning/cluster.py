"""The machines a sweep runs on: a cluster that is there, or a Ray of this machine's own."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf
from typing import Any

import joblib
import torch

from mhray.training.ray_address import RunningRay
from mhray.training.sizes import memory_of_this_machine
from mhray.tuning.capacity import Capacity, Node

WITHOUT_LIMIT = 10_000  # nodes, where a cluster's config names no number


def capacity(ray_there: RunningRay | None) -> Capacity:
    """What this machine has, or the cluster of a Ray that runs.

    Raises:
        StorageError: it does not answer.
    """
    if ray_there:
        return _capacity_of_the_cluster(ray_there)
    cores, gpus = joblib.cpu_count(), torch.cuda.device_count()
    return Capacity(cores, gpus, "this machine", memory_of_this_machine())


def node_of(resources: Mapping[str, float], unknown_memory: float = 0) -> Node:
    """A node by what Ray says of it."""
    memory = resources.get("memory", unknown_memory)
    return Node(resources.get("CPU", 0), resources.get("GPU", 0), memory)


def _capacity_of_the_cluster(ray_there: RunningRay) -> Capacity:
    import ray  # noqa: PLC0415  takes a second, and where there is no cluster nobody needs it
    from ray._private.state import state  # noqa: PLC0415

    from mhray.training.connection import connected  # noqa: PLC0415  imports Ray

    with connected(ray_there, needs_dashboard=False):
        there = [node_of(node["Resources"]) for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        config = state.get_cluster_config()
    brought = list(_brought(config.node_group_configs)) if config else []
    return Capacity.of_nodes(_together(there, brought), ray_there.place, ray_there.found_by)


def _brought(groups: Any) -> Iterator[Node]:
    """The nodes that an autoscaler may have at the same time, by the cluster's config."""
    for group in groups:
        count = WITHOUT_LIMIT if group.max_count < 0 else group.max_count
        if count:
            yield replace(node_of(group.resources, inf), count=count)


def _together(there: list[Node], brought: list[Node]) -> Iterator[Node]:
    """The nodes of a cluster at its largest: those that are there are among those of their group.

    >>> list(_together([Node(0, 0), Node(8, 1)], [Node(8, 1, count=4)]))
    [Node(cpus=0, gpus=0, memory=inf, count=1), Node(cpus=8, gpus=1, memory=inf, count=4)]
    """
    groups = {(node.cpus, node.gpus) for node in brought}
    yield from (node for node in there if (node.cpus, node.gpus) not in groups)
    yield from brought
