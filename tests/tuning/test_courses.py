from statistics import mean, pstdev

import pytest

from mhray.tuning.courses import Course, Reached, courses
from mhray.tuning.record import TrialRecord

ASHA = {"asha": {"grace_epochs": 1, "keep_one_in": 3}}


def ways(study, places=2, trials=(), **options):
    return courses(study, 9, places, trials, **options)


def mean_epochs(study, trials=()):
    return mean(course.epochs for course in ways(study, trials=trials, count=400))


@pytest.mark.parametrize(
    "scheduler", [None, {"pbt": {"every_epochs": 2}}, {"median": {"min_trials": 3}}]
)
def test_where_none_is_stopped_all_train_to_the_end_and_the_last_place_is_waited_for(
    a_study, scheduler
):
    found = ways(a_study(scheduler=scheduler, budget={"trials": 3}))
    assert set(found) == {Course(27, 18)}


def test_a_trial_takes_its_time_before_its_first_epoch(a_study):
    assert ways(a_study(), places=1, lead=0.5)[0] == Course(27, 28.5)


def test_asha_keeps_one_in_so_many_of_many(a_study):
    study = a_study(scheduler=ASHA, budget={"trials": 3000})
    # All train 1 epoch, a third 3, and a ninth 9.
    assert mean_epochs_of_one(study) == pytest.approx(1 + 2 / 3 + 6 / 9, rel=0.05)


def mean_epochs_of_one(study):
    return ways(study, count=1)[0].epochs / study.budget.trials


def test_of_few_trials_asha_keeps_more(a_study):
    # The first two of three pass more easily, and trial 0 always.
    few = mean_epochs(a_study(scheduler=ASHA, budget={"trials": 3})) / 3
    assert few > 1.5 * (1 + 2 / 3 + 6 / 9)


def test_rungs_that_many_have_come_to_let_fewer_pass(a_study):
    study = a_study(scheduler=ASHA, budget={"trials": 53})
    stopped = [Reached(number, (), 3, has_ended=True) for number in range(50)]
    assert mean_epochs(study, stopped) < mean_epochs(a_study(scheduler=ASHA, budget={"trials": 3}))


def test_hyperband_trains_more_than_asha_and_less_than_all(a_study):
    by_asha, by_hyperband, by_none = (
        mean_epochs(a_study(scheduler=scheduler, budget={"trials": 40}))
        for scheduler in (ASHA, {"hyperband": {}}, None)
    )
    assert by_asha < by_hyperband < by_none == 360


def test_brackets_by_option_have_a_first_trial_each(a_study):
    options = {"one_of": {name: {} for name in ("a", "b", "c", "d")}}
    within, across = (
        a_study(search={"model": options}, scheduler={"asha": rule}, budget={"trials": 8})
        for rule in ({"within": "model"}, {})
    )
    assert mean_epochs(within) > mean_epochs(across)


def test_what_the_median_rule_stops_may_be_anything(a_study):
    study = a_study(scheduler={"median": {"min_trials": 1}}, budget={"trials": 50})
    epochs = [course.epochs for course in ways(study)]
    assert min(epochs) < 0.2 * 450 < 0.9 * 450 < max(epochs)


def test_asha_by_heads_may_stop_as_many_as_asha_or_none(a_study):
    by_heads = {"asha": ASHA["asha"] | {"by": "heads"}}
    study = a_study(scheduler=by_heads, budget={"trials": 50})
    epochs = [course.epochs for course in ways(study)]
    by_select = mean_epochs(a_study(scheduler=ASHA, budget={"trials": 50}))
    assert min(epochs) < 1.2 * by_select < 0.9 * 450 < max(epochs)


def test_trials_that_stand_go_on_from_where_they_are(a_study):
    trials = [
        Reached(0, (), 4, has_ended=False),
        Reached(1, (), 2, has_ended=True),
        Reached(2, (), 7, has_ended=False),
    ]
    assert set(ways(a_study(budget={"trials": 3}), trials=trials)) == {Course(7, 5)}
    assert set(ways(a_study(budget={"trials": 4}), trials=trials)) == {Course(16, 11)}


def test_a_course_is_drawn_the_same_again(a_study):
    study = a_study(scheduler=ASHA, budget={"trials": 20})
    assert ways(study) == ways(study)
    assert pstdev(course.epochs for course in ways(study)) > 0


def test_a_record_says_where_its_trial_stands(a_record):
    record: TrialRecord = a_record(3, 0.1, 0.2, state="RUNNING", overrides=("a=1",))
    assert Reached.of(record) == Reached(3, ("a=1",), 2, has_ended=False)
    assert Reached.of(a_record(4)) == Reached(4, (), 0, has_ended=True)


def test_a_confirmation_adds_its_runs_and_what_is_trained_is_not_trained_again(a_study):
    confirm = {"top": 1, "seeds": 2, "max_seeds": 3}
    study = a_study(budget={"trials": 3}, confirm=confirm)
    runs = {(way.epochs - 27) / 9 for way in ways(study)}
    assert runs == {6, 7, 8, 9}
    assert {(way.epochs - 27) / 9 for way in ways(study, confirmed=72)} == {0, 1}
    # Two at a time, each as long as a trial.
    assert max(way.length for way in ways(study)) == 18 + 5 * 9
