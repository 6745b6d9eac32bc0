import pytest
from ray.tune.schedulers import TrialScheduler

from mhray.tuning.schedulers import stopping_scheduler

MEDIAN = {"median": {"grace_epochs": 2, "min_trials": 2}}


@pytest.fixture
def past(a_record):
    """Three trials; their averages from epoch 2 on are 0.4, 0.6 and 0.8."""
    return [a_record(1, 0.9, 0.4, 0.4), a_record(2, 0.1, 0.5, 0.7), a_record(3, 0.1, 0.8, 0.8)]


@pytest.fixture
def report(a_study, added):
    """Reports values of one trial, epoch after epoch; gives the last decision."""

    def run(past, values, number=9, start=1):
        scheduler = stopping_scheduler(a_study(scheduler=MEDIAN), 9, past)
        trial = added(scheduler, number)
        action = None
        for epoch, value in enumerate(values, start):
            result = {"epoch": epoch, "metrics/val/acc_mean": value}
            action = scheduler.on_trial_result(None, trial, result)
        return action

    return run


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0], TrialScheduler.CONTINUE),  # grace
        ([0.0, 0.0], TrialScheduler.STOP),
        ([0.0, 0.55, 0.59], TrialScheduler.STOP),
        ([0.0, 0.55, 0.61], TrialScheduler.CONTINUE),
        ([0.61, 0.0, 0.0], TrialScheduler.CONTINUE),  # its best counts, not its last
    ],
)
def test_a_trial_goes_on_if_its_best_is_as_good_as_the_median_of_averages(
    report, past, values, expected
):
    assert report(past, values) == expected


def test_too_few_others_stop_nobody(report, past):
    assert report(past[:1], [0.0, 0.0, 0.0]) == TrialScheduler.CONTINUE


def test_trials_that_have_not_come_as_far_do_not_count(report, past):
    assert report(past, [0.9, 0.0, 0.0, 0.0]) == TrialScheduler.CONTINUE


def test_an_epoch_that_is_reported_again_decides_nothing(report, a_record, past):
    before = a_record(9, 0.0, 0.0, state="RUNNING")
    assert report([*past, before], [0.0], start=2) == TrialScheduler.CONTINUE
    assert report([*past, before], [0.0], start=3) == TrialScheduler.STOP


def test_the_baseline_counts_for_the_others(a_study, added, past):
    scheduler = stopping_scheduler(a_study(scheduler=MEDIAN), 9, past[:1])
    baseline, other = added(scheduler, 0), added(scheduler, 9)
    for epoch in (1, 2):
        scheduler.on_trial_result(None, baseline, {"epoch": epoch, "metrics/val/acc_mean": 0.7})
    worse = {"epoch": 2, "metrics/val/acc_mean": 0.1}
    assert scheduler.on_trial_result(None, other, worse) == TrialScheduler.STOP
    scheduler.on_trial_complete(None, baseline, worse)
    assert len(scheduler._results[baseline]) == 2


def test_a_trial_that_is_tried_again_counts_once(a_study, a_record, added):
    before = a_record(9, 0.1, 0.2, state="RUNNING")
    scheduler = stopping_scheduler(a_study(scheduler=MEDIAN), 9, [before])
    trial = added(scheduler, 9)
    scheduler.on_trial_add(None, trial)
    assert [row["epoch"] for row in scheduler._results[trial]] == [1, 2]
