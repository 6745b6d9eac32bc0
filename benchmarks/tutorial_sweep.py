"""The same sweep as Ray's own tutorials write it: the other side of ``benchmarks/sweep.py``.

A plain Tune function with Lightning, torchvision transforms per sample, ``OptunaSearch`` and the
MLflow callback. Network, data, split, batch size, epochs and number of trials are those of the
study that it is compared with; everything else is what the tutorials show.
"""

import argparse
import json
from pathlib import Path

import lightning
import numpy as np
import ray
import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchmetrics.classification import MulticlassAccuracy
from torchvision import transforms

from mhray.data.dataset import CIFAR100MHDataset

HEADS = {"left": 10, "right": 10, "sum": 19}


class TutorialModule(lightning.LightningModule):
    def __init__(self, lr, weights):
        super().__init__()
        self.lr, self.weights = lr, weights
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(512, 96),
            nn.ReLU(),
            nn.Dropout(0.25),
        )
        self.heads = nn.ModuleDict({head: nn.Linear(96, n) for head, n in HEADS.items()})
        self.accuracies = nn.ModuleDict(
            {
                f"{split}_{head}": MulticlassAccuracy(n, average="micro")
                for split in ("train", "val")
                for head, n in HEADS.items()
            }
        )

    def _step(self, batch, split):
        images, targets = batch
        features = self.features(images)
        total = 0
        for head in HEADS:
            logits = self.heads[head](features)
            loss = nn.functional.cross_entropy(logits, targets[head])
            accuracy = self.accuracies[f"{split}_{head}"]
            accuracy(logits, targets[head])
            self.log(f"{split}/{head}_loss", loss, on_step=False, on_epoch=True)
            self.log(f"{split}/{head}_acc", accuracy, on_step=False, on_epoch=True)
            total = total + self.weights[head] * loss
        return total

    def training_step(self, batch, index):
        return self._step(batch, "train")

    def validation_step(self, batch, index):
        self._step(batch, "val")

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


class ReportMean(lightning.Callback):
    def on_validation_end(self, trainer, module):
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        mean = float(np.mean([metrics[f"val/{head}_acc"] for head in HEADS]))
        tune.report({**metrics, "val/acc_mean": mean})


def train_once(config):
    torch.set_num_threads(1)
    lightning.seed_everything(12345)
    steps = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.15,) * 3, (0.3,) * 3)]
    )
    data = CIFAR100MHDataset(config["data"], train=True, transform=steps)
    order = np.random.default_rng(0).permutation(len(data))
    cut = len(data) // 10
    trainer = lightning.Trainer(
        max_epochs=config["epochs"],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[ReportMean()],
    )
    weights = {head: config[head] for head in HEADS}
    trainer.fit(
        TutorialModule(config["lr"], weights),
        DataLoader(Subset(data, order[cut:].tolist()), batch_size=64, shuffle=True),
        DataLoader(Subset(data, order[:cut].tolist()), batch_size=64),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--storage", type=Path, required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    options = parser.parse_args()
    ray.init(num_cpus=2, log_to_driver=False, logging_level="ERROR")
    space = {
        "data": str(options.data.resolve()),
        "epochs": options.epochs,
        "lr": tune.loguniform(1e-4, 1e-2),
        **{head: tune.uniform(0.05, 2.0) for head in HEADS},
    }
    tuner = tune.Tuner(
        tune.with_resources(train_once, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="val/acc_mean", mode="max", num_samples=options.trials, search_alg=OptunaSearch()
        ),
        run_config=tune.RunConfig(
            storage_path=str(options.storage.resolve()),
            verbose=0,
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=f"sqlite:///{options.storage.resolve()}/mlflow.db",
                    experiment_name="tutorial",
                )
            ],
        ),
    )
    results = tuner.fit()
    print(json.dumps({"trials": len(results), "errors": results.num_errors}))


if __name__ == "__main__":
    main()
