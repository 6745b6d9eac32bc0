from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler

from mhray.tuning.rungs import bracket_of, first_rungs
from mhray.tuning.schedulers import PastTrial, stopping_scheduler

WITHIN = {"asha": {"grace_epochs": 1, "keep_one_in": 3, "within": "model"}}


@pytest.mark.parametrize(
    ("model", "expected"), [("cnn", TrialScheduler.STOP), ("vit", TrialScheduler.CONTINUE)]
)
def test_a_trial_may_be_compared_with_those_of_its_option_only(
    a_study, a_record, decision, model, expected
):
    past = [
        a_record(number, best, overrides=(f"model={kind}", "seed=1"))
        for number, (kind, best) in enumerate([("cnn", 0.9)] * 4 + [("vit", 0.2)] * 4)
    ]
    scheduler = stopping_scheduler(a_study(scheduler=WITHIN), 9, past)
    overrides = [f"model={model}", "seed=1"]
    assert decision(scheduler, 9, 0.5, overrides=overrides) == expected


def test_the_first_trial_of_an_option_to_reach_a_rung_goes_on(a_study, a_record, decision):
    past = [a_record(number, 0.9, overrides=("model=cnn",)) for number in range(4)]
    scheduler = stopping_scheduler(a_study(scheduler=WITHIN), 9, past)
    assert decision(scheduler, 9, 0.1, overrides=["model=vit"]) == TrialScheduler.CONTINUE


@pytest.mark.parametrize("end", ["complete", "remove"])
def test_a_bracket_is_told_of_an_end(a_study, end):
    scheduler = stopping_scheduler(a_study(scheduler=WITHIN), 9, [])
    trial = PastTrial("new", {"number": 0, "overrides": ["model=cnn"]})
    scheduler.on_trial_add(None, trial)
    if end == "complete":
        scheduler.on_trial_complete(None, trial, {"epoch": 9, "best": 0.5})
    else:
        scheduler.on_trial_remove(None, trial)
    (bracket,) = scheduler._brackets.values()
    assert trial.trial_id not in bracket._trial_info


def test_the_last_bracket_of_hyperband_stops_nothing_early(a_study, a_record, decision):
    past = [a_record(number, *[0.9] * 9) for number in range(20)]
    scheduler = stopping_scheduler(a_study(scheduler={"hyperband": {}}), 9, past)
    number = next(n for n in range(20, 40) if bracket_of(n, 3, 3) == 2)
    assert decision(scheduler, number, 0.1, epoch=8) == TrialScheduler.CONTINUE


@pytest.mark.parametrize(
    ("grace", "keep", "last", "firsts"), [(1, 3, 9, [1, 3, 9]), (2, 2, 9, [2, 4, 8, 9])]
)
def test_brackets_begin_to_stop_at_growing_epochs(grace, keep, last, firsts):
    assert first_rungs(grace, keep, last) == firsts


def test_brackets_get_the_shares_of_hyperband():
    # Li et al. 2018, table 1, for R = 81 and a factor of 3: 81, 34, 15, 8 and 5 trials begin.
    counted = Counter(bracket_of(number, 5, 3) for number in range(1430))
    shares = [81, 34, 15, 8, 5]
    assert [counted[bracket] for bracket in range(5)] == pytest.approx(
        [10 * share for share in shares], abs=3
    )


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 4))
def test_every_trial_has_a_bracket(number, brackets, keep_one_in):
    assert 0 <= bracket_of(number, brackets, keep_one_in) < brackets
