"""How fast is one training step, and what does the framework add to it?

    python benchmarks/step.py                 # about a minute
    python benchmarks/step.py --seconds 15

Milliseconds of CPU time per step, one thread, 32x32x3 images, heads of 100 and 20 classes.

step               forward, backward and optimiser step at batch 64, usual : ours, in a plain loop.
                   Usual is the same network in NCHW, with convolution bias, BatchNorm, ReLU and
                   max-pool in this order, and AdamW as it is.
in_trainer         the same two in a Lightning Trainer: a module with torchmetrics' forward and
                   self.log per head and step against MultiheadLitModule.
overhead_ms        our network at batch 8: MultiheadLitModule in the Trainer minus a plain loop.
overhead_fraction  the same as a share of the plain loop's step.

The variants take turns, each with a new network: one that knows its batch by heart computes with
denormal numbers, which are slow. A number is the median over the rounds, its spread the range
of the paired ratios or differences. The last line is one JSON object.
"""

import argparse
import json
import logging
import statistics
import time
import warnings
from pathlib import Path

import joblib
import lightning
import torch
import torchmetrics
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.nn import functional

from mhray.training.origin import commit
from mhray.training.run import compose_run

CONFIGS = Path(__file__).parents[1] / "configs"
HEADS = {"fine": 100, "coarse": 20}
SHAPE = (3, 32, 32)
WARM_UP = 5  # steps that are not timed


class TimedBatches(lightning.LightningDataModule):
    """The same batches over and over; notes the CPU time between warm-up and the last batch."""

    def __init__(self, batch_size, steps):
        super().__init__()
        images = torch.randn(batch_size, *SHAPE)
        targets = {name: torch.randint(n, (batch_size,)) for name, n in HEADS.items()}
        self.batch = (images, targets)
        self.steps = steps
        self.ms_per_step = 0.0

    def __len__(self):
        return self.steps + WARM_UP + 1

    def __iter__(self):
        for _ in range(WARM_UP):
            yield self.batch
        start = time.process_time()
        for _ in range(self.steps):
            yield self.batch
        self.ms_per_step = (time.process_time() - start) / self.steps * 1e3
        yield self.batch

    def get_dataset_info(self):
        return {"heads_config": HEADS, "image_shape": SHAPE}

    def train_dataloader(self):
        return self


class UsualNetwork(nn.Module):
    """SimpleCNN as it is usually written."""

    def __init__(self, conv1=16, conv2=32, hidden=96):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, conv1, 3, padding=1),
            nn.BatchNorm2d(conv1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(conv1, conv2, 3, padding=1),
            nn.BatchNorm2d(conv2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(conv2 * 16, hidden),
            nn.ReLU(),
            nn.Dropout(0.25),
        )
        self.heads = nn.ModuleDict({name: nn.Linear(hidden, n) for name, n in HEADS.items()})

    def forward(self, images):
        features = self.backbone(images)
        return {name: head(features) for name, head in self.heads.items()}


class UsualModule(lightning.LightningModule):
    """A metric object per head, and everything logged at every step."""

    def __init__(self):
        super().__init__()
        self.net = UsualNetwork()
        self.accuracies = nn.ModuleDict(
            {n: torchmetrics.Accuracy("multiclass", num_classes=c) for n, c in HEADS.items()}
        )

    def training_step(self, batch):
        images, targets = batch
        logits = self.net(images)
        total = 0.0
        for name in HEADS:
            loss = functional.cross_entropy(logits[name], targets[name])
            self.log(f"train/{name}_loss", loss, on_step=False, on_epoch=True)
            self.accuracies[name](logits[name], targets[name])
            self.log(f"train/{name}_acc", self.accuracies[name], on_step=False, on_epoch=True)
            total = total + loss
        self.log("train/loss", total, on_step=False, on_epoch=True)
        return total

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def our_module():
    return instantiate(compose_run(["model=cifar100mh_cnn"]).model, _convert_="all")


def our_network_and_optimizer():
    module = our_module()
    module.net.configure(SHAPE, HEADS)
    return module.net, module.configure_optimizers()


def usual_network_and_optimizer():
    net = UsualNetwork()
    return net, torch.optim.AdamW(net.parameters(), lr=1e-3)


def plain_loop(make, data):
    net, optimizer = make()
    for images, targets in data:
        optimizer.zero_grad()
        logits = net(images)
        sum(functional.cross_entropy(logits[name], targets[name]) for name in HEADS).backward()
        optimizer.step()


def in_trainer(make, data):
    settings = OmegaConf.load(CONFIGS / "trainer" / "default.yaml")
    # Without a callback of ours Lightning would write checkpoints where this is started.
    only_train = {"max_epochs": 1, "limit_val_batches": 0, "enable_checkpointing": False}
    trainer = instantiate(settings, accelerator="cpu", **only_train)
    trainer.fit(make(), datamodule=data)


VARIANTS = {
    "usual, plain loop, batch 64": (plain_loop, usual_network_and_optimizer, 64),
    "ours, plain loop, batch 64": (plain_loop, our_network_and_optimizer, 64),
    "usual, in a Trainer, batch 64": (in_trainer, UsualModule, 64),
    "ours, in a Trainer, batch 64": (in_trainer, our_module, 64),
    "ours, plain loop, batch 8": (plain_loop, our_network_and_optimizer, 8),
    "ours, in a Trainer, batch 8": (in_trainer, our_module, 8),
}


def measure(steps):
    """One round: milliseconds per step of each variant."""
    costs = []
    for run, make, batch_size in VARIANTS.values():
        data = TimedBatches(batch_size, 4 * steps if batch_size == 8 else steps)
        run(make, data)
        costs.append(data.ms_per_step)
    return costs


def summary(rounds):
    ratios = {
        "step": [usual / ours for usual, ours, *_ in rounds],
        "in_trainer": [usual / ours for _, _, usual, ours, *_ in rounds],
        "overhead_ms": [ours - plain for *_, plain, ours in rounds],
        "overhead_fraction": [ours / plain - 1 for *_, plain, ours in rounds],
    }
    result = {}
    for key, values in ratios.items():
        result[key] = round(statistics.median(values), 3)
        result[f"{key}_spread"] = round(max(values) - min(values), 3)
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long to measure")
    seconds = parser.parse_args().seconds
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    end = time.monotonic() + seconds
    rounds = [measure(steps=20)]
    while time.monotonic() < end:
        rounds.append(measure(steps=20))
    print(f"{'CPU ms per step':32} {'median':>8} {'least':>8} {'most':>8}   ({len(rounds)} rounds)")
    for name, values in zip(VARIANTS, zip(*rounds, strict=True), strict=True):
        middle = statistics.median(values)
        print(f"{name:32} {middle:8.2f} {min(values):8.2f} {max(values):8.2f}")
    machine = {"commit": commit(), "cores": joblib.cpu_count()}
    print(json.dumps(summary(rounds) | machine))


if __name__ == "__main__":
    main()
