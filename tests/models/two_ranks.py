"""Validates on one rank, validates and trains on two; prints lines of JSON for test_module.py.

Then it trains on two again, but one head alone.

First the libraries that training should not bring in, then the metrics that each rank sees.

A script, since the ranks must not be forked from pytest: `python two_ranks.py`.
"""

import json
import sys
import warnings
from functools import partial

import lightning
import torch

from mhray.models.cnn import SimpleCNN
from mhray.models.module import MultiheadLitModule

HEADS = {"left": 4, "sum": 7}
SIZES = [8, 5, 3, 7]


def make_batches():
    draw = torch.Generator().manual_seed(3)
    return [
        (
            torch.randn(size, 3, 16, 16, generator=draw),
            {h: torch.randint(n, (size,), generator=draw) for h, n in HEADS.items()},
        )
        for size in SIZES
    ]


class Shard:
    """The batches of one rank: every `world`-th."""

    def __init__(self, rank, world):
        self.batches = make_batches()[rank::world]

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


class Data(lightning.LightningDataModule):
    def get_dataset_info(self):
        return {
            "heads_config": HEADS,
            "image_shape": (3, 16, 16),
            "ordinal_heads": ("sum",),
            "skewed_heads": ("left",),
        }

    def train_dataloader(self):
        return Shard(self.trainer.global_rank, self.trainer.world_size)

    val_dataloader = train_dataloader


class PrintMetrics(lightning.Callback):
    """Prints what every rank sees, in one write."""

    def on_validation_end(self, trainer, module):
        show_metrics(trainer)

    def on_train_end(self, trainer, module):
        show_metrics(trainer)


def show_metrics(trainer):
    show({name: value.item() for name, value in sorted(trainer.callback_metrics.items())})


def show(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def train(ranks, train_heads=None, loss_weights=None):
    torch.set_num_threads(1)
    lightning.seed_everything(0, verbose=False)
    module = MultiheadLitModule(
        SimpleCNN(),
        partial(torch.optim.SGD, lr=0.1),
        loss_weights=loss_weights,
        train_heads=train_heads,
    )
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=ranks,
        strategy="ddp_fork" if ranks > 1 else "auto",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[PrintMetrics()],
    )
    trainer.validate(module, datamodule=Data(), verbose=False)
    if ranks > 1:
        trainer.fit(module, datamodule=Data())


if __name__ == "__main__":
    warnings.filterwarnings("error", message=".*sync_dist.*")
    show(sorted({"ray", "hydra", "mlflow", "optuna"} & set(sys.modules)))
    train(ranks=1, loss_weights={"left": 2.0})
    train(ranks=2, loss_weights={"left": 2.0})
    train(ranks=2, train_heads=["sum"])
