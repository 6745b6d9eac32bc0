"""What machines can give to a sweep, and how many trials share it.

No Ray is imported here: a study is checked without it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from mhray.tuning.study import PerWorker, Resources


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
        shares = (
            (self.cpus, worker.cpus),
            (self.gpus, worker.gpus),
            (self.memory, worker.memory_bytes),
        )
        return self.count * int(min(there // each for there, each in shares if each > 0))


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
