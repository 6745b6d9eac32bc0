"""How often a trial is started again: as Tune counts it, but for those that get further."""

import pytest
from ray.tune.experiment import Trial

from mhray.training.epoch_row import EpochRow
from mhray.tuning.starts import RetriesAnew

ROW = EpochRow(epoch=1, metrics={}, best=0.5, seconds=1.0, time=0.0)


@pytest.fixture
def trial():
    """A trial of Tune's that may fail twice."""
    return Trial("x", config={"number": 7}, stub=True, max_failures=2)


def recoveries(trial, epochs_between):
    """How often a trial would be started again that ends so many epochs before each of 9 losses."""
    retries = RetriesAnew()
    for start in range(9):
        retries.on_trial_start(0, [trial], trial)
        for _ in range(epochs_between):
            retries.epoch_ended(7, ROW)
        trial.run_metadata.num_failures += 1  # as Tune does, in a session of Ray's
        if not trial.should_recover():
            return start
    return 9


def test_a_trial_that_gets_further_each_time_outlives_any_number_of_machines(trial):
    assert recoveries(trial, epochs_between=1) == 9


def test_a_trial_that_gets_no_further_has_the_retries_of_the_study(trial):
    assert recoveries(trial, epochs_between=0) == 2
