"""What does each weighting add to a training step?

    python benchmarks/weightings.py                 # about three minutes
    python benchmarks/weightings.py --seconds 20

CPU time of one thread; SimpleCNN, batches of 64 images of 32x32x3, heads of 100 and 20 classes. A
step is MultiheadLitModule's training step, backward and the optimiser's step, without a Trainer.

The weightings take turns step by step, in a new order each round. A share is the median over the
rounds of a weighting's step minus that with fixed weights, through the median step with fixed
weights; its spread is the standard error of that median. `alone_us` is the weighting's own part:
the losses' way forward and backward through it, at the best of many repeats.

The last line is one JSON object, with the largest share among the weightings that are loss-based.
"""

import argparse
import json
import random
import statistics
import time

import joblib
import torch
from hydra.utils import instantiate

from mhray.training.origin import commit
from mhray.training.project import config_directory
from mhray.training.run import compose_run

NAMES = sorted(path.stem for path in config_directory().glob("weighting/*.yaml"))
LOSS_BASED = ("dwa", "famo", "rlw", "stch", "uncertainty")
HEADS = {"fine": 100, "coarse": 20}
SHAPE = (3, 32, 32)
BATCH = 64
WARM_UP = 5  # rounds that are not counted


class Training:
    """A network in training under a weighting, past the warm-up that the weighting may have."""

    def __init__(self, name):
        torch.manual_seed(0)
        # One that learned its batch by heart would compute with denormal numbers, which are slow.
        overrides = [f"weighting={name}", "model.optimizer.lr=0.0"]
        self.module = instantiate(compose_run(overrides).model, _convert_="all")
        self.module.configure(SHAPE, HEADS)
        self.module.on_train_start()
        self.weighting = self.module.weighting
        self.weighting.begin_epoch(0)
        for _ in range(2):
            self.weighting.end_epoch([4.0, 3.0])
        self.optimizer = self.module.configure_optimizers()

    def step(self, batch):
        """Milliseconds of one step."""
        start = time.process_time()
        self.module.optimizer_zero_grad(0, 0, self.optimizer)
        self.module.training_step(batch).backward()
        self.optimizer.step()
        return (time.process_time() - start) * 1e3

    def alone(self, losses, steps=200):
        """Microseconds of the weighting's own part of a step."""
        start = time.process_time()
        for _ in range(steps):
            self.weighting(losses).backward()
            self.weighting.weights_in_use()
        return (time.process_time() - start) / steps * 1e6


def make_batch():
    targets = {head: torch.randint(classes, (BATCH,)) for head, classes in HEADS.items()}
    return torch.randn(BATCH, *SHAPE), targets


def measure(trainings, seconds):
    """Milliseconds of each step of each weighting."""
    batch, order = make_batch(), list(trainings)
    costs = {name: [] for name in trainings}
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(costs["fixed"]) < WARM_UP + 3:
        random.shuffle(order)
        for name in order:
            costs[name].append(trainings[name].step(batch))
    return {name: steps[WARM_UP:] for name, steps in costs.items()}


def standard_error(values):
    """Of a median, from the quartiles, as of normal values."""
    low, _, high = statistics.quantiles(values, n=4)
    return 1.253 * (high - low) / 1.349 / len(values) ** 0.5


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=150, help="how long to measure")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    trainings = {name: Training(name) for name in NAMES}
    costs = measure(trainings, seconds)
    step = statistics.median(costs["fixed"])
    print(f"step with fixed weights: {step:.2f} ms ({len(costs['fixed'])} rounds)")
    print(f"{'weighting':20} {'share':>8} {'spread':>8} {'alone_us':>9}")
    result = {"rounds": len(costs["fixed"]), "step_ms": round(step, 2)}
    losses = torch.tensor([4.0, 3.0], requires_grad=True)
    for name in NAMES:
        added = [ours - fixed for ours, fixed in zip(costs[name], costs["fixed"], strict=True)]
        share, spread = statistics.median(added) / step, 0.0
        if name != "fixed":
            spread = standard_error(added) / step
        alone = min(trainings[name].alone(losses) for _ in range(5))
        print(f"{name:20} {share:8.2%} {spread:8.2%} {alone:9.0f}")
        result |= {name: round(share, 4), f"{name}_spread": round(spread, 4)}
    result["largest"] = max(result[name] for name in LOSS_BASED)
    print(json.dumps(result | {"commit": commit(), "cores": joblib.cpu_count()}))


if __name__ == "__main__":
    main()
