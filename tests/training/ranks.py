"""Trains on 1, 2 and 4 ranks and prints, as JSON, the losses of each run for test_ranks.py.

Without Ray, but with the product's own loop: the ranks are forked here, and Lightning finds its
process group as it does in Ray's workers. A script, since ranks must not be forked from pytest:
`python ranks.py DATA_DIR DIR`. A line is the number of ranks, the run, and the losses of an epoch.
"""

import json
import multiprocessing
import os
import sys
from pathlib import Path

import torch
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from torch import distributed

from mhray.training.run import compose_run, train

# 135 images, in 7 epochs of 3 steps, of which the last one has 7. AdamW divides gradients by their
# size, and so makes of the rounding of float32 what can be seen.
SHARED = [
    "data.batch_size=64",
    "trainer.max_epochs=7",
    "trainer.accelerator=cpu",
    "model.optimizer._target_=torch.optim.SGD",
    "model.optimizer.lr=0.01",
]
CNN = ["experiment=cifar100mh_cnn", "model.net.dropout=0", "model.net.norm=group"]
RUNS = {
    "cnn": CNN,
    "convnext": ["experiment=cifar100mh_convnext"],
    "vit": ["experiment=cifar100mh_vit"],
    "stch": [*CNN, "weighting=stch"],
}

MOST = {"stch": 2}  # ranks; it is there for its weighting, which has no more to do with four


def work(rank, ranks, configs, place):
    torch.set_num_threads(1)
    executor = as_in_workers(rank, ranks, place) if ranks > 1 else None
    for name, config in configs.items():

        def report(row, name=name):
            if rank == 0:
                kept = {key: value for key, value in row.metrics.items() if key.endswith("loss")}
                os.write(1, (json.dumps([ranks, name, kept]) + "\n").encode())

        train(config, place / name, report=report, executor=executor)
    if executor:
        distributed.destroy_process_group()


def as_in_workers(rank, ranks, place):
    """What a Trainer is told in a worker of a group; its processes know each other already."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{place}/store", rank=rank, world_size=ranks
    )
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0"}
    os.environ |= {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
    return {"devices": ranks, "strategy": "ddp", "plugins": [TorchElasticEnvironment()]}


def main(data_dir, directory):
    configs = {
        name: compose_run([f"data.data_dir={data_dir}", *SHARED, *overrides])
        for name, overrides in RUNS.items()
    }
    fork = multiprocessing.get_context("fork")
    for ranks in (1, 2, 4):
        place = Path(directory).resolve() / str(ranks)
        place.mkdir(parents=True)
        chosen = {name: configs[name] for name in RUNS if ranks <= MOST.get(name, 4)}
        group = [
            fork.Process(target=work, args=(rank, ranks, chosen, place)) for rank in range(ranks)
        ]
        for rank in group:
            rank.start()
        for rank in group:
            rank.join()
        if any(rank.exitcode for rank in group):
            sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
