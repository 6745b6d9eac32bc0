"""Loads one epoch on two forked ranks; each prints a line of JSON: rank, images seen, sizes.

A script, since the ranks must not be forked from pytest: `python two_ranks.py DIR`.
"""

import json
import multiprocessing
import sys
import tempfile

import torch
import torch.distributed
from torchvision.transforms import ToTensor

from mhray.data.datamodule import CIFAR100MHDataModule


def work(rank, store, data_dir):
    torch.manual_seed(rank)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    data = CIFAR100MHDataModule(data_dir, batch_size=8, val_fraction=0.2)
    loader = data.train_dataloader()
    seen = [image[0, 0].tolist() for images, _ in loader for image in images]
    per_sample = CIFAR100MHDataModule(
        data_dir, batch_size=8, val_fraction=0.2, train_transform=ToTensor()
    ).train_dataloader()
    sizes = [len(images) for images, _ in per_sample]
    sys.stdout.write(json.dumps([rank, seen, sizes]) + "\n")
    sys.stdout.flush()
    torch.distributed.destroy_process_group()


def main():
    with tempfile.TemporaryDirectory() as place:
        fork = multiprocessing.get_context("fork")
        ranks = [
            fork.Process(target=work, args=(rank, f"{place}/store", sys.argv[1]))
            for rank in range(2)
        ]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
    sys.exit(any(rank.exitcode for rank in ranks))


if __name__ == "__main__":
    main()
