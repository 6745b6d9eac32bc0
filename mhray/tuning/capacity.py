"""What machines can give to a sweep, and how many trials share it.

No Ray is imported here: a study is checked without it.
"""

from dataclasses import dataclass

from mhray.tuning.study import Resources

ROUNDING = 1e-6  # Ray counts in ten-thousandths


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
        (available.memory, worker.memory_bytes),
    ]
    workers = [_fitting(there, each) for there, each in shares if each > 0]
    if worker.gpus > 0:
        workers.append(_fitting_gpus(available.gpus, worker.gpus))
    return max(1, min(workers) // resources.workers_per_trial)


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
    return int(there / each + ROUNDING)
