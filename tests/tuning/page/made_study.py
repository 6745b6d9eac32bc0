"""A study that was never trained: its accuracies follow from what its trials drew, as planted.

`left` and `right` pull against each other through their weights, the learning rate helps both, and
dropout does nothing.
"""

import math
from random import Random

from mhray.training.epochs import EpochRow
from mhray.tuning.page.material import Material
from mhray.tuning.record import TrialRecord
from mhray.tuning.study import Study

HEADS = ("left", "right", "sum")
EPOCHS = 4
BEGAN = 1_790_000_000.0
STUDY = {
    "name": "planted",
    "base": {"experiment": "cifar100mh_cnn", "trainer.max_epochs": EPOCHS},
    "search": {
        "model.loss_weights": {"simplex": list(HEADS), "floor": 0.05},
        "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
        "model.net.dropout": {"uniform": [0.0, 0.5]},
    },
    "sampler": {"random": {"seed": 0}},
}


def made_material(trials=60, **changes):
    """The study, with so many trials; a third of those after trial 0 is stopped early."""
    study = Study.model_validate({**STUDY, "budget": {"trials": trials}})
    known = {
        "data": {"fingerprint": "f00d" * 16, "seed": 3, "val_fraction": 0.1},
        "origin": {"python": "3.11.9", "mhray": "0.9", "commit": "0123456789ab"},
        "question": "How should the heads share the gradient?",
        "command": "python -m mhray.sweep planted.yaml",
        "seconds": 3600.0,
    }
    records = tuple(made_record(number, Random(number)) for number in range(trials))
    return Material(study, records, **{**known, **changes})


def made_record(number, luck):
    drawn = (
        _drawn(luck) if number else {"left": 1.0, "right": 1.0, "sum": 1.0, "lr": 1e-3, "p": 0.1}
    )
    stopped = number % 3 == 2
    ends = _accuracies(drawn, luck)
    rows, best = [], 0.0
    for epoch in range(1, 2 if stopped else EPOCHS + 1):
        metrics = _metrics({head: end * (1 - 0.5**epoch) for head, end in ends.items()})
        best = max(best, metrics["val/acc_mean"])
        rows.append(EpochRow(epoch, metrics, best, 10.0, BEGAN + 60 * number + 10 * epoch))
    overrides = (
        "experiment=cifar100mh_cnn",
        *(f"model.loss_weights.{head}={drawn[head]!r}" for head in HEADS),
        f"model.optimizer.lr={drawn['lr']!r}",
        f"model.net.dropout={drawn['p']!r}",
    )
    state = "PRUNED" if stopped else "COMPLETE"
    began = BEGAN + 60 * number
    ended = began + 10 * len(rows)
    return TrialRecord(
        number, state, overrides, 12345, {}, tuple(rows), "", "", 1, "", {}, (), (), began, ended
    )


def _drawn(luck):
    shares = [-math.log(1 - luck.random()) for _ in HEADS]
    weights = {h: 0.05 + 2.85 * share / sum(shares) for h, share in zip(HEADS, shares, strict=True)}
    return {**weights, "lr": 10 ** luck.uniform(-4, -2), "p": luck.uniform(0, 0.5)}


def _accuracies(drawn, luck):
    helps = 0.1 - 0.05 * abs(math.log10(drawn["lr"]) + 3)
    pull = 0.04 * (drawn["left"] - drawn["right"])
    noise = [luck.gauss(0, 0.01) for _ in HEADS]
    return {
        "left": 0.7 + pull + helps + noise[0],
        "right": 0.7 - pull + helps + noise[1],
        "sum": 0.6 + 2 * helps + noise[2],
    }


def _metrics(accuracies):
    each = {f"val/{head}_acc": value for head, value in accuracies.items()}
    losses = {f"val/{head}_loss": 1 - value for head, value in accuracies.items()}
    chance = {f"val/{head}_acc_chance": 0.12 for head in accuracies}
    return {**each, **losses, **chance, "val/acc_mean": sum(accuracies.values()) / len(accuracies)}
