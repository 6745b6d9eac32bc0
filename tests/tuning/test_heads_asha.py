import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler

from mhray.training.epoch_row import EpochRow
from mhray.tuning.front import dominates
from mhray.tuning.record import TrialRecord
from mhray.tuning.schedulers import PastTrial, stopping_scheduler

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
HEADS = ("left", "right")


def metrics(left, right):
    return {"val/acc_mean": (left + right) / 2, "val/left_acc": left, "val/right_acc": right}


def past_trial(number, *accuracies, state="PRUNED", overrides=()):
    rows, best = [], 0.0
    for epoch, both in enumerate(accuracies, 1):
        best = max(best, sum(both) / 2)
        rows.append(EpochRow(epoch, metrics(*both), best, 1.0, 0.0))
    return TrialRecord(number, state, overrides, 0, {}, tuple(rows), "", "", 1, "", {})


@pytest.fixture
def scheduler(a_study):
    def make(past, **asha):
        study = a_study(scheduler={"asha": {"by": "heads", **asha}})
        return stopping_scheduler(study, 9, past, HEADS)

    return make


def reported(scheduler, number, *accuracies, overrides=()):
    """The decision on the last of these epochs of a new trial."""
    trial, best, action = PastTrial(f"new-{number}", {"number": number}), 0.0, CONTINUE
    trial.config["overrides"] = overrides
    scheduler.on_trial_add(None, trial)
    for epoch, both in enumerate(accuracies, 1):
        best = max(best, sum(both) / 2)
        row = {f"metrics/{name}": value for name, value in metrics(*both).items()}
        action = scheduler.on_trial_result(None, trial, {"epoch": epoch, "best": best, **row})
    return action


GOOD = [past_trial(number, (0.6, 0.6)) for number in range(1, 5)]


@pytest.mark.parametrize(
    ("accuracies", "decision"),
    [
        ((0.5, 0.5), STOP),  # worse at both
        ((0.6, 0.5), STOP),  # as good at one and worse at the other
        ((0.61, 0.1), CONTINUE),  # behind on the mean, and the best at one
        ((0.6, 0.6), CONTINUE),  # as good at both
        ((0.9, 0.9), CONTINUE),
    ],
)
def test_a_trial_is_stopped_only_if_another_one_dominates_it(scheduler, accuracies, decision):
    assert reported(scheduler(GOOD), 9, accuracies) == decision


def test_who_is_ahead_of_the_cut_goes_on_although_dominated(scheduler):
    past = [past_trial(number, (0.2, 0.2)) for number in range(1, 6)] + [past_trial(6, (0.9, 0.9))]
    assert reported(scheduler(past), 9, (0.5, 0.5)) == CONTINUE


def test_trials_are_compared_where_their_best_epochs_were(scheduler):
    past = [past_trial(number, (0.6, 0.6), (0.7, 0.6), (0.1, 0.9)) for number in range(1, 5)]
    # At epoch 3 the best so far is that of epoch 2, 0.7 and 0.6.
    assert reported(scheduler(past), 9, (0.5, 0.61), (0.0, 0.0), (0.0, 0.0)) == CONTINUE
    assert reported(scheduler(past), 10, (0.61, 0.6), (0.69, 0.59), (0.0, 0.95)) == STOP


def test_the_rung_holds_what_a_resumed_trial_did_before(scheduler):
    past = [past_trial(number, (0.6, 0.6), state="RUNNING") for number in range(1, 5)]
    made = scheduler(past)
    for record in past:
        made.on_trial_add(None, PastTrial(f"again-{record.number}", {"number": record.number}))
    assert reported(made, 9, (0.5, 0.5)) == STOP
    assert reported(made, 10, (0.61, 0.1)) == CONTINUE


def test_options_are_brackets_by_heads_as_well(scheduler):
    past = [past_trial(number, (0.6, 0.6), overrides=("model=cnn",)) for number in range(1, 5)]
    made = scheduler(past, within="model")
    assert reported(made, 9, (0.5, 0.5), overrides=["model=cnn"]) == STOP
    assert reported(made, 10, (0.5, 0.5), overrides=["model=vit"]) == CONTINUE


def test_the_last_epoch_ends_every_trial(scheduler):
    assert reported(scheduler([]), 9, *[(0.5, 0.5)] * 9) == STOP


def test_the_baseline_is_never_stopped_early(scheduler):
    assert reported(scheduler(GOOD), 0, (0.1, 0.1)) == CONTINUE


def test_a_reported_failure_is_left_to_the_searcher(scheduler):
    made, trial = scheduler([]), PastTrial("new", {"number": 3})
    made.on_trial_add(None, trial)
    assert made.on_trial_result(None, trial, {"failure": "x"}) == CONTINUE


VECTORS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))


@given(VECTORS, VECTORS, VECTORS)
def test_dominance_is_a_strict_order(one, two, three):
    assert not dominates(one, one)
    assert not (dominates(one, two) and dominates(two, one))
    if dominates(one, two) and dominates(two, three):
        assert dominates(one, three)
