import pytest

from mhray.training.epoch_row import EpochRow
from mhray.tuning.record import TrialRecord
from mhray.tuning.schedulers import PastTrial
from mhray.tuning.study import Study


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock that stands until it is moved."""
    return Clock()


@pytest.fixture
def a_study():
    """A study of two searched paths, with sections replaced as asked."""

    def make(**sections):
        return Study.model_validate(
            {
                "name": "s",
                "base": {"trainer.max_epochs": 9},
                "search": {
                    "model.loss_weights": {"simplex": ["left", "right"]},
                    "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
                },
                "objectives": [{"maximize": "val/acc_mean"}],
                "select": {"maximize": "val/acc_mean"},
                "sampler": {"random": {"seed": 0}},
                "budget": {"trials": 3},
                **sections,
            }
        )

    return make


@pytest.fixture
def a_record():
    """A trial with a row for each value of its selected metric."""

    def make(number, *values, overrides=(), state="PRUNED"):
        rows = tuple(
            EpochRow(epoch, {"val/acc_mean": value}, max(values[:epoch]), 1.0, 0.0)
            for epoch, value in enumerate(values, 1)
        )
        return TrialRecord(number, state, overrides, 0, {}, rows, "", "", 1, "", {})

    return make


@pytest.fixture
def added():
    """Adds a trial of this number to a scheduler; gives the trial."""

    def add(scheduler, number, overrides=()):
        trial = PastTrial(f"new-{number}", {"number": number, "overrides": overrides})
        scheduler.on_trial_add(None, trial)
        return trial

    return add


@pytest.fixture
def decision(added):
    """What a scheduler decides on an epoch of a trial that is new to it."""

    def decide(scheduler, number, value, epoch=1, overrides=()):
        trial = added(scheduler, number, overrides)
        result = {"epoch": epoch, "best": value, "metrics/val/acc_mean": value}
        return scheduler.on_trial_result(None, trial, result)

    return decide
