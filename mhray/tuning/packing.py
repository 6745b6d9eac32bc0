"""Trials that share a GPU, where its memory is too small for as many as their shares allow.

Ray counts shares of a GPU and isolates nothing: four trials of a quarter each may together want
more memory than there is, and the last one to ask for it fails. So what one needs is measured
before the first of a sweep, and each gets the share of which as many fit. Only arithmetic is here;
`gpu_probe` measures.
"""

from dataclasses import dataclass

from mhray.errors import ConfigError
from mhray.training.sizes import as_size
from mhray.training.timing import GpuNeed
from mhray.tuning.capacity import on_one_gpu
from mhray.tuning.study import Resources


@dataclass(frozen=True)
class Packing:
    """The share of a GPU that each trial gets, and why; no reason if it is the one asked for."""

    resources: Resources
    reason: str = ""


def shares_gpus(resources: Resources) -> bool:
    """Whether several trials may be on one GPU."""
    return 0 < resources.per_worker.gpus < 1 and on_one_gpu(resources.per_worker.gpus) > 1


def packed(resources: Resources, need: GpuNeed) -> Packing:
    """The share asked for, or a larger one if as many trials as that allows would not fit.

    Raises:
        ConfigError: the GPU is too small for one.
    """
    asked = on_one_gpu(resources.per_worker.gpus)
    fitting = need.total // need.needed
    if not fitting:
        raise too_small(f"one trial needs {as_size(need.needed)}", need.total)
    if fitting >= asked:
        return Packing(resources)
    worker = resources.per_worker.model_copy(update={"gpus": _share(fitting)})
    reason = (
        f"{asked} trials of {as_size(need.needed)} each do not fit into the "
        f"{as_size(need.total)} of a GPU; {fitting} at a time share one"
    )
    return Packing(resources.model_copy(update={"per_worker": worker}), reason)


def too_small(what: str, total: float) -> ConfigError:
    """That a GPU has not the memory for one trial."""
    return ConfigError(
        f"resources.per_worker.gpus: {what}, and a GPU has {as_size(total)}; write a smaller "
        "data.batch_size, or search smaller networks"
    )


def _share(trials: int) -> float:
    """Of which so many make a GPU, in the ten-thousandths that Ray counts, rounded down.

    >>> _share(3), _share(1)
    (0.3333, 1.0)
    """
    return int(10_000 / trials) / 10_000
