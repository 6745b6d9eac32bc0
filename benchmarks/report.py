"""How long does the report of 1 000 trials take as a command, beside importing PyTorch and Ray?

    python benchmarks/report.py

`python -m mhray.report STUDY`, from the start of Python to all files of the report, of a journal in
SQLite with five epochs of three heads for each trial, against a Python that imports PyTorch,
Lightning and Ray, in turn. The ratio is of CPU time. The command's seconds by the clock stand
beside it, since there is a limit for them; they hold for this machine and its load alone.
"""

import math
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import optuna

from mhray.training.epoch_row import EpochRow
from mhray.training.origin import origin
from mhray.tuning.journal import Journal
from mhray.tuning.study import Study, dump_study

TRIALS, EPOCHS, ROUNDS = 1000, 5, 7
HEADS = ("left", "right", "sum")
IMPORTS = "import torch, lightning, ray.train, ray.tune"
SEARCH = {
    "model.loss_weights": {"simplex": list(HEADS)},
    "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
    "model.optimizer.weight_decay": {"log_uniform": [1e-5, 1e-1]},
}


def main():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as storage:
        directory = Path(storage) / "large"
        directory.mkdir()
        write(directory)
        ratios, clocks = [], []
        for _ in range(ROUNDS):
            own, by_the_clock = spent_by("-m", "mhray.report", str(directory))
            imports, _ = spent_by("-c", IMPORTS)
            print(
                f"report {own:.1f} s, imports {imports:.1f} s of CPU; report {by_the_clock:.1f} s"
            )
            ratios.append(own / imports)
            clocks.append(by_the_clock)
    spread = max(ratios) - min(ratios)
    ratio, at = statistics.median(ratios), origin()["commit"]
    clock = f"{statistics.median(clocks):.1f} ({min(clocks):.1f} to {max(clocks):.1f})"
    load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()}"
    print(f"| {TRIALS} trials | {ratio:.2f} | {spread:.2f} | {clock} | {load} | {at} |")


def write(directory):
    """A finished study, all its trials at once: a sweep's own way takes minutes."""
    study = Study.model_validate(
        {"name": directory.name, "search": SEARCH, "budget": {"trials": TRIALS}}
    )
    journal = Journal.open(study, directory)
    journal.begin(dump_study(study), {"fingerprint": "f00d", "seed": 0}, origin())
    opened = optuna.load_study(
        study_name=directory.name, storage=f"sqlite:///{directory}/journal.db"
    )
    opened.add_trials([trial(random.Random(number)) for number in range(TRIALS)])


def trial(luck):
    weights = [-math.log(1 - luck.random()) for _ in HEADS]
    shares = [3 * weight / sum(weights) for weight in weights]
    lr, decay = 10 ** luck.uniform(-4, -2), 10 ** luck.uniform(-5, -1)
    overrides = [
        *(
            f"model.loss_weights.{head}={share!r}"
            for head, share in zip(HEADS, shares, strict=True)
        ),
        f"model.optimizer.lr={lr!r}",
        f"model.optimizer.weight_decay={decay!r}",
    ]
    rows = [row(shares, lr, epoch, luck) for epoch in range(1, EPOCHS + 1)]
    attributes = {"overrides": overrides, "seed": 12345, "epochs": [asdict(one) for one in rows]}
    return optuna.trial.create_trial(value=rows[-1].best, user_attrs=attributes)


def row(shares, lr, epoch, luck):
    reached = 1 - 0.5**epoch - 0.05 * abs(math.log10(lr) + 3)
    ends = {head: 0.8 * reached + 0.05 * share for head, share in zip(HEADS, shares, strict=True)}
    noisy = {f"val/{head}_acc": end + luck.gauss(0, 0.01) for head, end in ends.items()}
    losses = {f"val/{head}_loss": 1 - end for head, end in ends.items()}
    mean = statistics.mean(noisy.values())
    return EpochRow(epoch, {**noisy, **losses, "val/acc_mean": mean}, mean, 10.0, 1e9 + epoch)


def spent_by(*words):
    """Seconds of CPU, and by the clock, of a Python that is started with these words."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, ended - began


if __name__ == "__main__":
    main()
