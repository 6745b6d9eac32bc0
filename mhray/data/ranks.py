"""Which worker of a run this process is, and what all of them must agree on."""

from dataclasses import dataclass

import torch
import torch.distributed


@dataclass(frozen=True)
class Rank:
    """Which slice of each batch is this process's: sample ``index`` of every ``count``."""

    index: int = 0
    count: int = 1


def current_rank() -> Rank:
    """This process's rank among the workers of a run, or the only one."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return Rank()
    return Rank(torch.distributed.get_rank(), torch.distributed.get_world_size())


def run_seed() -> int:
    """The seed that this run's PyTorch was given; that of the first rank, if there are several.

    A process that was never seeded has a random one, and ranks that shuffle by different seeds
    would see some samples twice and others never.
    """
    seed = [torch.initial_seed()]
    if current_rank().count > 1:
        torch.distributed.broadcast_object_list(seed)
    return seed[0]
