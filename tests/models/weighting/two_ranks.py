"""Prints, as JSON, the weights that two ranks have after steps with losses of slices of their own.

A script, since the ranks must not be forked from pytest: `python two_ranks.py STORE`, with STORE a
file that does not exist yet. The last line is the same run in one process, with all samples.
"""

import json
import os
import sys

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from mhray.models.global_batch import losses_over_ranks
from mhray.models.weighting import DWA, FAMO, RLW, STCH, Uncertainty

HEADS = {"left": 4, "sum": 7}
LOSSES = torch.tensor([[[2.0, 1.0], [1.8, 1.2], [0.5, 1.1]], [[3.0, 1.0], [1.0, 1.0], [2.5, 0.3]]])
SLICES = [3, 1]  # samples
WHOLE = (LOSSES * torch.tensor(SLICES).view(2, 1, 1)).sum(0) / sum(SLICES)


def weights(losses, samples):
    torch.manual_seed(3)
    kept = []
    for make in (FAMO, RLW, DWA, STCH):
        weighting = make(HEADS)
        for step in losses:
            weighting(losses_over_ranks(step, samples))
            weighting.end_epoch(LOSSES.mean((0, 1)).tolist())
        kept.append(weighting.weights_in_use().tolist())
    kept.append(learned(losses, samples).tolist())
    return json.dumps(kept) + "\n"


def learned(losses, samples):
    """The weights of a weighting that is trained as the network is."""
    weighting = Uncertainty(HEADS)
    is_alone = not distributed.is_initialized()
    trained = weighting if is_alone else DistributedDataParallel(weighting)
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.1)
    for step in losses:
        optimizer.zero_grad()
        trained(losses_over_ranks(step, samples)).backward()
        optimizer.step()
    return weighting.weights_in_use()


if __name__ == "__main__":
    torch.set_num_threads(1)
    child = os.fork()
    rank = int(child == 0)
    distributed.init_process_group(
        "gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=2
    )
    os.write(1, weights(LOSSES[rank], SLICES[rank]).encode())
    distributed.destroy_process_group()
    if rank == 0:
        os.waitpid(child, 0)
        os.write(1, weights(WHOLE, sum(SLICES)).encode())
