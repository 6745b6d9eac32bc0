"""The losses of the batch that all ranks of a run share, so that N of them train as one does.

Each rank has a slice of the batch, and slices of a last batch differ in size. PyTorch's DDP takes
the mean of the ranks' gradients as if they did not. And of what is no sum over samples, such as a
smooth maximum over the heads, the mean over slices is another number than that of the batch.
"""

import torch
from torch import Tensor, distributed


def losses_over_ranks(losses: Tensor, samples: int) -> Tensor:
    """Each head's mean loss over the batch of all ranks, (heads,): the same on every rank.

    Of any function of it, the mean over ranks of the gradients, which DDP takes, is the gradient
    for the whole batch.

    Args:
        losses: each head's mean loss over this rank's slice, (heads,).
        samples: of the slice.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return losses
    sums = torch.cat([losses.detach() * samples, losses.new_full((1,), samples)])
    distributed.all_reduce(sums)
    means, ranks = sums[:-1] / sums[-1], distributed.get_world_size()
    share = losses * (samples * ranks / sums[-1])
    return means + (share - share.detach())
