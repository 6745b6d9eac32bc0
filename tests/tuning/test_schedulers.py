import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from mhray.training.epochs import EpochRow
from mhray.tuning.record import TrialRecord
from mhray.tuning.schedulers import PastTrial, scheduler_of

ASHA = {"asha": {"grace_epochs": 1, "keep_one_in": 3}}


def a_record(number, *values, overrides=()):
    rows = tuple(EpochRow(epoch, {}, best, 1.0, 0.0) for epoch, best in enumerate(values, 1))
    return TrialRecord(number, "PRUNED", overrides, 0, {}, rows, "", "", 1, "", {})


def decision(scheduler, number, best, epoch=1, overrides=()):
    trial = PastTrial(f"new-{number}", {"number": number, "overrides": overrides})
    scheduler.on_trial_add(None, trial)
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, "best": best})


def test_a_study_without_a_scheduler_stops_nothing(a_study):
    assert isinstance(scheduler_of(a_study(scheduler=None), 9, []), FIFOScheduler)


def test_a_trial_is_compared_with_those_of_earlier_starts(a_study):
    past = [a_record(n, 0.9) for n in range(3)]
    assert decision(scheduler_of(a_study(scheduler=ASHA), 9, past), 5, 0.1) == TrialScheduler.STOP


def test_a_good_trial_goes_on(a_study):
    past = [a_record(n, 0.5) for n in range(3)]
    assert (
        decision(scheduler_of(a_study(scheduler=ASHA), 9, past), 5, 0.8) == TrialScheduler.CONTINUE
    )


def test_the_baseline_is_never_stopped_early(a_study):
    past = [a_record(n, 0.9) for n in range(1, 4)]
    assert (
        decision(scheduler_of(a_study(scheduler=ASHA), 9, past), 0, 0.1) == TrialScheduler.CONTINUE
    )


def test_the_last_epoch_ends_every_trial(a_study):
    assert (
        decision(scheduler_of(a_study(scheduler=ASHA), 9, []), 0, 0.1, epoch=9)
        == TrialScheduler.STOP
    )


@pytest.mark.parametrize(
    ("model", "expected"), [("cnn", TrialScheduler.STOP), ("vit", TrialScheduler.CONTINUE)]
)
def test_a_trial_may_be_compared_with_those_of_its_option_only(a_study, model, expected):
    study = a_study(scheduler={"asha": ASHA["asha"] | {"within": "model"}})
    past = [
        a_record(number, best, overrides=(f"model={kind}", "seed=1"))
        for number, (kind, best) in enumerate([("cnn", 0.9)] * 4 + [("vit", 0.2)] * 4)
    ]
    scheduler = scheduler_of(study, 9, past)
    overrides = [f"model={model}", "seed=1"]
    assert decision(scheduler, 9, 0.5, overrides=overrides) == expected


def test_the_first_trial_of_an_option_to_reach_a_rung_goes_on(a_study):
    study = a_study(scheduler={"asha": ASHA["asha"] | {"within": "model"}})
    past = [a_record(number, 0.9, overrides=("model=cnn",)) for number in range(4)]
    scheduler = scheduler_of(study, 9, past)
    assert decision(scheduler, 9, 0.1, overrides=["model=vit"]) == TrialScheduler.CONTINUE


@pytest.mark.parametrize("end", ["complete", "remove"])
def test_the_bracket_of_an_option_is_told_of_an_end(a_study, end):
    scheduler = scheduler_of(a_study(scheduler={"asha": ASHA["asha"] | {"within": "model"}}), 9, [])
    trial = PastTrial("new", {"number": 0, "overrides": ["model=cnn"]})
    scheduler.on_trial_add(None, trial)
    if end == "complete":
        scheduler.on_trial_complete(None, trial, {"epoch": 9, "best": 0.5})
    else:
        scheduler.on_trial_remove(None, trial)
    (bracket,) = scheduler._by_option.values()
    assert trial.trial_id not in bracket._trial_info
