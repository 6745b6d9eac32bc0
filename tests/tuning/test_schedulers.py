from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from mhray.training.epochs import EpochRow
from mhray.tuning.record import TrialRecord
from mhray.tuning.schedulers import PastTrial, scheduler_of

ASHA = {"asha": {"grace_epochs": 1, "keep_one_in": 3}}


def a_record(number, *values):
    rows = tuple(EpochRow(epoch, {}, best, 1.0, 0.0) for epoch, best in enumerate(values, 1))
    return TrialRecord(number, "PRUNED", (), 0, {}, rows, "", "", 1, "", {})


def decision(scheduler, number, best, epoch=1):
    trial = PastTrial(f"new-{number}", {"number": number})
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
