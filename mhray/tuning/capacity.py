"""What machines can give to a sweep, and how many trials share it.

No Ray is imported here: a study is checked without it.
"""

from dataclasses import dataclass

from mhray.tuning.study import Resources


@dataclass(frozen=True)
class Capacity:
    """What can be shared out.

    Attributes:
        cpus: cores.
        gpus: GPUs.
        place: whose they are, for messages.
        memory: bytes.
    """

    cpus: float
    gpus: float
    place: str
    memory: float = float("inf")


def parallel_trials(resources: Resources, available: Capacity) -> int:
    """How many trials run at a time: as asked, or as many as cores, GPUs and memory allow.

    >>> parallel_trials(Resources(), Capacity(2, 0, "this machine"))
    2
    """
    if resources.parallel_trials != "auto":
        return resources.parallel_trials
    worker = resources.per_worker
    shares = [
        (available.cpus, worker.cpus),
        (available.gpus, worker.gpus),
        (available.memory, worker.memory_bytes),
    ]
    fitting = [there // (each * resources.workers_per_trial) for there, each in shares if each > 0]
    return max(1, int(min(fitting)))
