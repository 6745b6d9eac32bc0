"""A study that was never trained: its accuracies follow from what its trials drew, as planted.

`left` and `right` pull against each other through their weights, the learning rate helps both, and
dropout does nothing.
"""

import math
from random import Random

import pytest

from mhray.training.epoch_row import EpochRow
from mhray.tuning.journal import Journal
from mhray.tuning.page.blocks import Table, Text
from mhray.tuning.page.material import Material
from mhray.tuning.record import TrialRecord
from mhray.tuning.samplers import sampler_of
from mhray.tuning.study import Study, dump_study

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
DATA = {"fingerprint": "f00d" * 16, "seed": 3, "val_fraction": 0.1}
ORIGIN = {"python": "3.11.9", "mhray": "0.9", "commit": "0123456789ab"}
QUESTION = "How should the heads share the gradient?"
COMMAND = "python -m mhray.sweep planted.yaml"


@pytest.fixture(scope="session")
def a_material():
    """The planted study with so many trials, of which a third is stopped early."""

    def make(trials=60, base=(), **known):
        sections = {"base": {**STUDY["base"], **dict(base)}, "budget": {"trials": trials}}
        study = Study.model_validate({**STUDY, **sections})
        records = tuple(_a_record(number, Random(number)) for number in range(trials))
        told = {"question": QUESTION, "command": COMMAND, "seconds": 3600.0}
        about = {"data": DATA, "origin": ORIGIN, **told}
        return Material(**{"study": study, "records": records, **about, **known})

    return make


@pytest.fixture(scope="session")
def a_journal():
    """The journal of a study, written trial by trial as a sweep does."""

    def make(material, directory):
        study = material.study
        directory.mkdir(parents=True)
        journal = Journal.open(study, directory)
        journal.begin(dump_study(study), material.data, material.origin)
        journal.note_start(material.question, material.command, "")
        for record in material.records:
            number = journal.ask(sampler_of(study, record.number)).number
            journal.describe(number, record.overrides, record.seed)
            for row in record.epochs:
                journal.add_epoch(number, row)
            value = record.epochs[-1].best if record.state == "COMPLETE" else None
            journal.end(number, record.state, value=value)
        return journal

    return make


@pytest.fixture
def words():
    """All words of sections: sentences and cells of tables."""

    def of(sections):
        found = []
        for block in (block for section in sections for block in section.blocks):
            match block:
                case Text():
                    found += block.sentences
                case Table():
                    found += [cell for row in block.rows for cell in row]
        return "\n".join(found)

    return of


def _a_record(number, luck):
    equal = {**dict.fromkeys(HEADS, 1.0), "lr": 1e-3, "p": 0.1}
    drawn = _drawn(luck) if number else equal
    stopped = number % 3 == 2
    began = BEGAN + 60 * number
    ends, rows, best = _accuracies(drawn, luck), [], 0.0
    for epoch in range(1, 2 if stopped else EPOCHS + 1):
        metrics = _metrics({head: end * (1 - 0.5**epoch) for head, end in ends.items()})
        best = max(best, metrics["val/acc_mean"])
        rows.append(EpochRow(epoch, metrics, best, 10.0, began + 10 * epoch))
    overrides = (
        "experiment=cifar100mh_cnn",
        *(f"model.loss_weights.{head}={drawn[head]!r}" for head in HEADS),
        f"model.optimizer.lr={drawn['lr']!r}",
        f"model.net.dropout={drawn['p']!r}",
    )
    state, ended = "PRUNED" if stopped else "COMPLETE", began + 10 * len(rows)
    ends_with = {"began": began, "ended": ended}
    return TrialRecord(
        number, state, overrides, 12345, {}, tuple(rows), "", "", 1, "", {}, **ends_with
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
