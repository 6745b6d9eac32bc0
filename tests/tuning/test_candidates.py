from dataclasses import replace

import pytest

from mhray.training.changes import Change
from mhray.tuning.candidates import at_equal_weights, candidates_of, range_of_runs
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.record import Takeover

EQUAL = ("model.loss_weights.left=1.0", "model.loss_weights.right=1.0")


def weights(left, right, lr="0.001"):
    return (
        f"model.loss_weights.left={left}",
        f"model.loss_weights.right={right}",
        f"model.optimizer.lr={lr}",
    )


@pytest.fixture
def complete(a_record):
    """A complete trial of two heads with this accuracy and these overrides."""

    def make(number, accuracy, overrides):
        record = a_record(number, accuracy, state="COMPLETE", overrides=overrides)
        record.epochs[0].metrics.update({"val/left_loss": 1.0, "val/right_loss": 1.0})
        return record

    return make


@pytest.fixture
def found(a_study, complete):
    """The names of the candidates, and of their twins, of trials with these overrides."""

    def find(*trials, top=2, **sections):
        records = [complete(number, *trial) for number, trial in enumerate(trials)]
        candidates = candidates_of(a_study(**sections), Confirm(top=top), records)
        twins = {name: (twin.name, twin.overrides) for name, twin in candidates.twins.items()}
        return [each.name for each in candidates.trials], twins

    return find


def test_the_best_trials_and_trial_0_are_confirmed_and_each_has_a_twin_of_equal_weights(found):
    trials = [(0.2, weights(1.0, 1.0)), (0.5, weights(1.5, 0.5, "0.01")), (0.4, weights(1.2, 0.8))]
    names, twins = found(*trials, top=1)
    assert names == ["trial 1", "trial 0"]
    lr = "model.optimizer.lr=0.01"
    assert twins == {"trial 1": ("trial 1 at equal weights", (*EQUAL, lr))}
    # With the rate of trial 0, equal weights are trial 0.
    assert found(*trials)[1]["trial 2"] == ("trial 0", weights(1.0, 1.0))


def test_where_no_weights_are_searched_nobody_has_a_twin(found):
    search = {"model.optimizer.lr": {"uniform": [0.1, 0.2]}}
    trials = [(0.2, ("model.optimizer.lr=0.1",)), (0.5, ("model.optimizer.lr=0.2",))]
    assert found(*trials, search=search) == (["trial 1", "trial 0"], {})


def test_trials_that_are_the_same_run_are_confirmed_once_and_seeds_are_none_of_them(found):
    same = (*weights(1.5, 0.5), "seed=3")
    names, _ = found((0.2, weights(1.0, 1.0)), (0.5, same), (0.5, weights(1.5, 0.5)), top=3)
    assert names == ["trial 1", "trial 0"]


def test_a_study_without_a_complete_trial_has_no_candidates(a_study, a_record):
    found = candidates_of(a_study(), Confirm(), [a_record(0, 0.5, state="PRUNED")])
    assert (found.trials, found.twins) == ((), {})


@pytest.mark.parametrize(
    ("overrides", "equal"),
    [
        (weights(0.3, 0.1), ("left=0.2", "right=0.2")),
        (("model.loss_weights.left=3.0",), ("left=1.0",)),
    ],
)
def test_equal_weights_keep_the_sum_and_equal_those_that_are_not_written(overrides, equal):
    prefixed = tuple(f"model.loss_weights.{one}" for one in equal)
    assert at_equal_weights(overrides, 2)[: len(equal)] == prefixed


def test_a_schedule_keeps_its_rates_at_equal_weights(a_study, complete):
    changes = (
        Change(2, ("model.loss_weights.left=0.4", "model.optimizer.lr=0.002")),
        Change(4, ("model.loss_weights.left=0.3",)),
    )
    schedule = (*weights(1.5, 0.5), "changes=[{epoch:2,overrides:[]}]")
    takeover = Takeover(0, 1, 4, schedule, changes)
    record = replace(complete(1, 0.5, schedule), takeovers=(takeover,))
    [twin] = candidates_of(a_study(), Confirm(), [record]).twins.values()
    rates = 'changes=[{epoch:2,overrides:["model.optimizer.lr=0.002"]}]'
    assert twin.overrides == (*EQUAL, "model.optimizer.lr=0.001", rates)


def test_the_number_of_runs_lies_between_the_least_and_the_most_seeds_of_all(a_study):
    confirm = Confirm(top=3, seeds=2, max_seeds=5)
    assert range_of_runs(a_study(budget={"trials": 24}), confirm) == (10, 25)
    assert range_of_runs(a_study(budget={"trials": 2}), confirm) == (6, 15)
