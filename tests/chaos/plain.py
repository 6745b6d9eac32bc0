"""The same task as Ray's tutorials write it: OptunaSearch, MLflow's callback, Tuner.restore.

    python -m tests.chaos.plain --data DIR --storage DIR --trials 6 --epochs 5 --tracking-uri URI

The first start makes a Tuner, every later one restores it, with what failed resumed. Everything
runs as the tutorials show it; mhray gives nothing but the reading of the data.
"""

import argparse
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import ray
import torch
from lightning.pytorch.callbacks import Callback
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from mhray.data.dataset import CIFAR100MHDataset

HEADS = ("left", "right", "sum")
CLASSES = {"left": 10, "right": 10, "sum": 19}


class PlainModule(lightning.LightningModule):
    """A small network with three heads."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(4),
            nn.Flatten(),
            nn.LazyLinear(96),
            nn.ReLU(),
        )
        self.heads = nn.ModuleDict({head: nn.Linear(96, CLASSES[head]) for head in HEADS})

    def training_step(self, batch: list[torch.Tensor], _index: int) -> torch.Tensor:
        """The weighted sum of the heads' losses."""
        features = self.net(batch[0])
        losses = [
            self.config[head] * cross_entropy(self.heads[head](features), batch[1][:, column])
            for column, head in enumerate(HEADS)
        ]
        return torch.stack(losses).sum()

    def validation_step(self, batch: list[torch.Tensor], _index: int) -> None:
        """The mean accuracy of the heads."""
        features = self.net(batch[0])
        right = [
            (self.heads[head](features).argmax(1) == batch[1][:, column]).float().mean()
            for column, head in enumerate(HEADS)
        ]
        self.log("acc_mean", torch.stack(right).mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with weight decay."""
        return torch.optim.AdamW(self.parameters(), lr=self.config["lr"])


class ReportWithCheckpoint(Callback):
    """Reports each epoch with a checkpoint, as the tutorial on fault tolerance does."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, _module: Any) -> None:
        """Save, then report both."""
        with tempfile.TemporaryDirectory() as folder:
            trainer.save_checkpoint(Path(folder) / "last.ckpt")
            metrics = {"acc_mean": float(trainer.callback_metrics["acc_mean"])}
            metrics["epoch"] = trainer.current_epoch + 1
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))


def train_once(config: dict[str, Any]) -> None:
    """One trial, from its checkpoint if it has one."""
    torch.set_num_threads(1)
    lightning.seed_everything(12345)
    data = CIFAR100MHDataset(config["data"], train=True)
    samples = [data[index] for index in range(len(data))]
    images = torch.stack([torch.as_tensor(np.asarray(image)).float() for image, _ in samples])
    images = (images.permute(0, 3, 1, 2) if images.shape[-1] == 3 else images) / 255
    targets = torch.tensor([[int(target[head]) for head in HEADS] for _, target in samples])
    train = TensorDataset(images[:576], targets[:576])
    trainer = lightning.Trainer(
        max_epochs=config["epochs"],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[ReportWithCheckpoint()],
    )
    module = PlainModule(config)
    module.net(images[:1])
    checkpoint = tune.get_checkpoint()
    loaders = (
        DataLoader(train, batch_size=32, shuffle=True),
        DataLoader(TensorDataset(images[576:], targets[576:]), batch_size=64),
    )
    if checkpoint is None:
        trainer.fit(module, *loaders)
        return
    with checkpoint.as_directory() as folder:
        # torch 2.6 and later loads nothing but weights, unless told otherwise.
        trainer.fit(module, *loaders, ckpt_path=Path(folder) / "last.ckpt", weights_only=False)


def tuner_of(options: argparse.Namespace) -> tune.Tuner:
    """A new Tuner, or the one that was there before."""
    path = str(options.storage / options.storage.name)
    trainable = tune.with_resources(train_once, {"cpu": 1})
    if tune.Tuner.can_restore(path):
        return tune.Tuner.restore(path, trainable, resume_errored=True)
    space = {
        "data": str(options.data),
        "epochs": options.epochs,
        "lr": tune.loguniform(1e-4, 1e-2),
        **{head: tune.uniform(0.05, 2.0) for head in HEADS},
    }
    logger = MLflowLoggerCallback(
        tracking_uri=options.tracking_uri, experiment_name=options.storage.name
    )
    return tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="acc_mean",
            mode="max",
            num_samples=options.trials,
            search_alg=OptunaSearch(seed=0),
        ),
        run_config=tune.RunConfig(
            name=options.storage.name,
            storage_path=str(options.storage),
            verbose=0,
            callbacks=[logger],
            failure_config=tune.FailureConfig(max_failures=5),
        ),
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--storage", type=Path, required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--tracking-uri", required=True)
    parser.add_argument("--ray-temp", help="Ray's directory")
    options = parser.parse_args()
    ray.init(
        num_cpus=2,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=options.ray_temp or None,
    )
    results = tuner_of(options).fit()
    print(json.dumps([results[index].path for index in range(len(results))]), flush=True)


if __name__ == "__main__":
    main()
