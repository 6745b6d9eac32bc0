"""The time left, by a clock that stands until it is moved."""

import pytest

from mhray.tuning.span import Span
from mhray.tuning.time_left import TimeLeft


@pytest.fixture
def time_left(a_study, clock):
    def make(trials=4, past=(), seconds=None, **sections):
        study = a_study(budget={"trials": trials}, **sections)
        return TimeLeft(study, 9, 2, list(past), seconds, 0.0, clock)

    return make


def test_nothing_is_known_before_an_epoch_is_seen_or_a_speed_was_recorded(time_left):
    assert time_left().span() is None
    assert time_left(seconds=10.0).span().middle == pytest.approx(180, rel=0.1)


def test_it_is_epochs_by_what_each_has_taken_waiting_included(time_left, clock, a_record):
    left = time_left()
    for number in (0, 1):
        left.started(a_record(number, state="RUNNING"))
    for epoch in range(1, 9):
        clock.now += 10
        for number in (0, 1):
            left.finished_epoch(number, epoch, 10.0)
    # Two trials lack an epoch each, then two train nine.
    assert left.span().middle == pytest.approx(100, rel=0.1)


def test_trials_that_were_stopped_first_do_not_make_it_short(time_left, clock, a_record):
    left = time_left(trials=4, scheduler={"asha": {"grace_epochs": 1}})
    for number in (0, 1):
        left.started(a_record(number, state="RUNNING"))
    clock.now += 10
    left.ended(a_record(1, 0.1))
    left.finished_epoch(0, 1, 10.0)
    # Trial 0 alone has eight epochs before it, whatever becomes of the others.
    assert left.span().low >= 0.7 * 8 * 10


def test_it_counts_down_between_events_once_a_trial_has_started(time_left, clock, a_record):
    left = time_left(seconds=10.0)
    before = left.span()
    clock.now += 5
    assert left.span() == before
    left.started(a_record(0, state="RUNNING"))
    clock.now += 5
    assert left.span() == Span(before.low - 5, before.middle - 5, before.high - 5)
    clock.now += 1e6
    assert left.span() == Span(0, 0, 0)


def test_early_stopping_is_counted(time_left):
    stopped = time_left(trials=60, seconds=10.0, scheduler={"asha": {"keep_one_in": 3}}).span()
    full = time_left(trials=60, seconds=10.0).span()
    assert stopped.middle < full.middle / 2.5
    assert stopped.high < full.low / 1.5


def test_what_ended_before_is_not_waited_for_again(time_left, a_record):
    past = [a_record(number, *[0.5] * 9, state="COMPLETE") for number in range(3)]
    assert time_left(past=past, seconds=10.0).span().middle == pytest.approx(90, rel=0.1)


def test_what_trials_wait_for_counts_for_each_that_is_still_to_come(time_left, clock, a_record):
    left = time_left(trials=5)
    for number in (0, 1, 2):
        left.started(a_record(number, state="RUNNING"))
        clock.now += 15
        left.finished_epoch(number, 9, 10.0)
        left.ended(a_record(number, *[0.5] * 9, state="COMPLETE"))
    # Trial 2 waited 5 s before its epoch; the wait of trial 0 was for its process. Nothing runs.
    assert left.span().middle == pytest.approx(9 * 10 + 5, rel=0.15)
