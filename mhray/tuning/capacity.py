"""What machines can give to a sweep, and how many trials share it.

No Ray is imported here: a study is checked without it.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from mhray.tuning.study import PerWorker, Resources

ROUNDING = 1e-6  # Ray counts in ten-thousandths


@dataclass(frozen=True)
class Node:
    """What one machine can give, or each of several like it.

    Attributes:
        cpus: cores.
        gpus: GPUs.
        memory: bytes.
        count: how many there are, or can be.
    """

    cpus: float
    gpus: float
    memory: float = float("inf")
    count: int = 1

    def fitting(self, worker: PerWorker) -> int:
        """How many workers all of these nodes have room for.

        >>> Node(4, 1, count=2).fitting(PerWorker(cpus=3))
        2
        """
        shares = ((self.cpus, worker.cpus), (self.memory, worker.memory_bytes))
        workers = [_fitting(there, each) for there, each in shares if each > 0]
        if worker.gpus > 0:
            workers.append(_fitting_gpus(self.gpus, worker.gpus))
        return self.count * min(workers)


@dataclass(frozen=True)
class Capacity:
    """What can be shared out.

    Attributes:
        cpus: cores.
        gpus: GPUs.
        place: whose they are, for messages.
        memory: bytes.
        nodes: of a cluster, those that it has and those that it can bring.
        ray: which Ray shares it out, for the first line.
    """

    cpus: float
    gpus: float
    place: str
    memory: float = float("inf")
    nodes: tuple[Node, ...] = ()
    ray: str = "a Ray of its own"

    @classmethod
    def of_nodes(cls, nodes: Iterable[Node], place: str, ray: str) -> "Capacity":
        """What nodes have together."""
        there = tuple(nodes)
        return cls(
            cpus=sum(node.cpus * node.count for node in there),
            gpus=sum(node.gpus * node.count for node in there),
            place=place,
            memory=sum(node.memory * node.count for node in there),
            nodes=there,
            ray=ray,
        )

    @property
    def largest(self) -> Node:
        """The most that any node has of each kind."""
        if not self.nodes:
            return Node(self.cpus, self.gpus, self.memory)
        return Node(
            max(node.cpus for node in self.nodes),
            max(node.gpus for node in self.nodes),
            max(node.memory for node in self.nodes),
        )

    def fitting(self, worker: PerWorker) -> int:
        """How many workers there is room for; each is on one node."""
        whole = Node(self.cpus, self.gpus, self.memory)
        return sum(node.fitting(worker) for node in self.nodes or (whole,))


def parallel_trials(resources: Resources, available: Capacity) -> int:
    """How many trials run at a time: as asked, or as many as cores, GPUs and memory allow.

    >>> parallel_trials(Resources(), Capacity(2, 0, "this machine"))
    2
    """
    if resources.parallel_trials != "auto":
        return resources.parallel_trials
    return max(1, available.fitting(resources.per_worker) // resources.workers_per_trial)


def on_one_gpu(share: float) -> int:
    """How many trials of such a share of a GPU run on one.

    >>> on_one_gpu(0.25), on_one_gpu(0.2), on_one_gpu(0.3), on_one_gpu(0.3333)
    (4, 5, 3, 3)
    """
    return _fitting(1, share)


def _fitting_gpus(there: float, each: float) -> int:
    """What is left of one GPU and of another makes no share of a third.

    >>> _fitting_gpus(2, 0.4), _fitting_gpus(4, 2)
    (4, 2)
    """
    return int(there) * on_one_gpu(each) if each < 1 else _fitting(there, each)


def _fitting(there: float, each: float) -> int:
    """How often one fits into the other; 0.1 ten times into 1, although 1 // 0.1 is 9.

    >>> _fitting(1, 0.1), _fitting(2, 0.7)
    (10, 2)
    """
    return int(min(there / each + ROUNDING, sys.maxsize))  # of memory nobody may know how much
