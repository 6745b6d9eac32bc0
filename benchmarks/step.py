"""How fast is one training step, and what does the framework add to it?

    python benchmarks/step.py                 # about two minutes
    python benchmarks/step.py --seconds 300

Milliseconds of CPU time per step, one thread, 32x32x3 images, heads of 100 and 20 classes.

step_<name>        forward, backward and optimiser step at batch 64, usual : ours, in a plain loop,
                   for `model=cifar100mh_<name>`. Usual is the same network of the same parameters
                   as usual_networks.py has it, in NCHW, and AdamW as it is. That both compute the
                   same logits is checked first.
in_trainer         step_cnn in a Lightning Trainer: a module with torchmetrics' forward and
                   self.log per head and step against MultiheadLitModule.
overhead_ms        our SimpleCNN at batch 8: MultiheadLitModule in the Trainer minus a plain loop.
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
from functools import cache, partial
from pathlib import Path

import joblib
import lightning
import torch
import torchmetrics
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.nn import functional
from usual_networks import HEADS, USUAL

from mhray.training.origin import commit
from mhray.training.run import compose_run

CONFIGS = Path(__file__).parents[1] / "configs"
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


class UsualModule(lightning.LightningModule):
    """A metric object per head, and everything logged at every step."""

    def __init__(self):
        super().__init__()
        self.net = usual_network("cnn")
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
        return usual_optimizer(self)


@cache
def model_config(name):
    return compose_run([f"model=cifar100mh_{name}"]).model


def our_module(name):
    return instantiate(model_config(name), _convert_="all")


def our_network_and_optimizer(name):
    module = our_module(name)
    module.net.configure(SHAPE, HEADS)
    return module.net, module.configure_optimizers()


def usual_network(name):
    net = USUAL[name]()
    net.load(our_network_and_optimizer(name)[0].parameters())
    return net


def usual_optimizer(net):
    return torch.optim.AdamW(net.parameters(), lr=1e-3)


def usual_network_and_optimizer(name):
    net = usual_network(name)
    return net, usual_optimizer(net)


def refuse_other_function(name):
    """Ends the run unless both networks have the same logits for the same parameters."""
    ours, _ = our_network_and_optimizer(name)
    with torch.no_grad():
        for parameter in ours.parameters():
            # GRN starts as the identity, and several biases as zero.
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    usual = USUAL[name]()
    usual.load(ours.parameters())
    images = torch.randn(64, *SHAPE)
    for net in (ours, usual):
        net(images)  # the running statistics of BatchNorm
        net.eval()
    torch.testing.assert_close(usual(images), ours(images), atol=1e-4, rtol=0)


def plain_loop(make, batch_size, steps):
    net, optimizer = make()
    data = TimedBatches(batch_size, steps)
    for images, targets in data:
        optimizer.zero_grad()
        logits = net(images)
        sum(functional.cross_entropy(logits[name], targets[name]) for name in HEADS).backward()
        optimizer.step()
    return data.ms_per_step


def in_trainer(make, batch_size, steps):
    data = TimedBatches(batch_size, steps)
    settings = OmegaConf.load(CONFIGS / "trainer" / "default.yaml")
    # Without a callback of ours Lightning would write checkpoints where this is started.
    only_train = {"max_epochs": 1, "limit_val_batches": 0, "enable_checkpointing": False}
    trainer = instantiate(settings, accelerator="cpu", **only_train)
    trainer.fit(make(), datamodule=data)
    return data.ms_per_step


our_cnn = partial(our_network_and_optimizer, "cnn")
our_cnn_module = partial(our_module, "cnn")
# Each returns its milliseconds per step.
VARIANTS = {
    f"{name}, {whose}, plain loop": partial(plain_loop, partial(make, name), 64, 20)
    for name in USUAL
    for whose, make in (
        ("usual", usual_network_and_optimizer),
        ("ours", our_network_and_optimizer),
    )
} | {
    "cnn, usual, in a Trainer": partial(in_trainer, UsualModule, 64, 20),
    "cnn, ours, in a Trainer": partial(in_trainer, our_cnn_module, 64, 20),
    "cnn, ours, plain loop, batch 8": partial(plain_loop, our_cnn, 8, 80),
    "cnn, ours, in a Trainer, batch 8": partial(in_trainer, our_cnn_module, 8, 80),
}


def measure():
    """One round: milliseconds per step of each variant."""
    return {name: run() for name, run in VARIANTS.items()}


def summary(rounds):
    result = {}
    for key, values in paired(rounds).items():
        result[key] = round(statistics.median(values), 3)
        result[f"{key}_spread"] = round(max(values) - min(values), 3)
    return result


def paired(rounds):
    """What each round says of every key."""
    usual, ours = "{}, usual, {}", "{}, ours, {}"
    pairs = {f"step_{name}": (name, "plain loop") for name in USUAL}
    pairs["in_trainer"] = ("cnn", "in a Trainer")
    values = {
        key: [costs[usual.format(*pair)] / costs[ours.format(*pair)] for costs in rounds]
        for key, pair in pairs.items()
    }
    small = [
        (costs["cnn, ours, in a Trainer, batch 8"], costs["cnn, ours, plain loop, batch 8"])
        for costs in rounds
    ]
    values["overhead_ms"] = [trainer - plain for trainer, plain in small]
    values["overhead_fraction"] = [trainer / plain - 1 for trainer, plain in small]
    return values


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120, help="how long to measure")
    seconds = parser.parse_args().seconds
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in USUAL:
        refuse_other_function(name)
    end = time.monotonic() + seconds
    rounds = [measure()]
    while time.monotonic() < end:
        rounds.append(measure())
    print(f"{'CPU ms per step':32} {'median':>8} {'least':>8} {'most':>8}   ({len(rounds)} rounds)")
    for name in VARIANTS:
        values = [costs[name] for costs in rounds]
        print(f"{name:32} {statistics.median(values):8.2f} {min(values):8.2f} {max(values):8.2f}")
    print(json.dumps(summary(rounds) | {"commit": commit(), "cores": joblib.cpu_count()}))


if __name__ == "__main__":
    main()
