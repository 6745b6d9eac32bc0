"""Prints, as JSON, the weights that two ranks have after steps with losses of their own.

A script, since the ranks must not be forked from pytest: `python two_ranks.py STORE`, with STORE a
file that does not exist yet. The last line is the same run in one process, with the mean losses.
"""

import json
import os
import sys

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from mhray.models.weighting import DWA, FAMO, RLW, Uncertainty

HEADS = {"left": 4, "sum": 7}
LOSSES = torch.tensor([[[2.0, 1.0], [1.8, 1.2], [0.5, 1.1]], [[3.0, 1.0], [1.0, 1.0], [2.5, 0.3]]])


def weights(losses):
    torch.manual_seed(3)
    kept = []
    for make in (FAMO, RLW, DWA):
        weighting = make(HEADS)
        for step in losses:
            weighting(step)
            weighting.end_epoch(LOSSES.mean((0, 1)).tolist())
        kept.append(weighting.weights_in_use().tolist())
    kept.append(learned(losses).tolist())
    return json.dumps(kept) + "\n"


def learned(losses):
    """The weights of a weighting that is trained as the network is."""
    weighting = Uncertainty(HEADS)
    is_alone = not distributed.is_initialized()
    trained = weighting if is_alone else DistributedDataParallel(weighting)
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.1)
    for step in losses:
        optimizer.zero_grad()
        trained(step).backward()
        optimizer.step()
    return weighting.weights_in_use()


if __name__ == "__main__":
    torch.set_num_threads(1)
    child = os.fork()
    rank = int(child == 0)
    distributed.init_process_group(
        "gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=2
    )
    os.write(1, weights(LOSSES[rank]).encode())
    distributed.destroy_process_group()
    if rank == 0:
        os.waitpid(child, 0)
        os.write(1, weights(LOSSES.mean(0)).encode())
