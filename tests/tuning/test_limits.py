"""The limits of a study's time, by a clock that stands until it is moved."""

from dataclasses import replace

import pytest

from mhray.training.trial_files import TrialFiles
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.limits import Limits
from mhray.tuning.search import SearchPlan, StudySearch
from mhray.tuning.spent import Spent

HOUR = 3600.0
ASHA = {"asha": {"grace_epochs": 2}}


@pytest.fixture
def limits_of(a_study, clock):
    """The limits of a study of 9 epochs; earlier trials took ``seconds`` for each of theirs."""

    def make(budget, past=(), recorded=None, spent=0.0, **sections):
        study = a_study(budget=budget, **sections)
        spent = Spent(spent, spent, clock)
        return Limits(study, 9, spent, lambda: list(past), recorded or {})

    return make


def slow(record, seconds):
    rows = tuple(replace(row, seconds=seconds) for row in record.epochs)
    return replace(record, epochs=rows)


def test_hours_are_those_of_all_starts(limits_of, clock):
    limits = limits_of({"hours": 2}, spent=1.5 * HOUR)
    assert limits.used_up() == ""
    clock.now += 0.5 * HOUR
    assert limits.used_up() == "budget.hours"


def test_gpu_hours_are_what_running_trials_hold(limits_of, clock):
    shared = {"per_worker": {"gpus": 0.5}}
    limits = limits_of({"gpu_hours": 1}, resources=shared)
    clock.now += 10 * HOUR
    limits.hold(2)
    clock.now += 0.5 * HOUR
    limits.hold(1)
    clock.now += 0.9 * HOUR
    assert limits.used_up() == ""
    clock.now += 0.1 * HOUR
    assert limits.used_up() == "budget.gpu_hours"


@pytest.mark.parametrize(
    ("scheduler", "left", "fits"),
    [
        (ASHA, 19.9, False),
        (ASHA, 20.1, True),
        (None, 89.9, False),
        (None, 90.1, True),
        ({"median": {"grace_epochs": 3}}, 29.9, False),
        ({"median": {"grace_epochs": 3}}, 30.1, True),
    ],
)
def test_a_trial_starts_if_it_can_reach_its_first_rung(
    limits_of, a_record, clock, scheduler, left, fits
):
    past = [slow(a_record(0, 0.5, 0.6, state="COMPLETE"), 10.0)]
    limits = limits_of({"hours": 1}, past, scheduler=scheduler)
    clock.now += HOUR - left
    assert limits.has_room(a_record(1), 0) is fits
    assert (limits.came_too_short() == "budget.hours") is not fits


def test_a_trial_of_hyperband_has_the_first_rung_of_its_bracket(limits_of, a_record, clock):
    past = [slow(a_record(9, 0.5), 10.0)]
    limits = limits_of({"hours": 1}, past, scheduler={"hyperband": {}})
    clock.now += HOUR - 31
    assert [limits.has_room(a_record(number), 0) for number in range(4)] == [
        True,
        True,
        True,
        False,
    ]


def test_a_trial_that_goes_on_needs_only_what_it_lacks(limits_of, a_record, clock):
    past = [slow(a_record(0, 0.5, 0.6, state="COMPLETE"), 10.0)]
    limits = limits_of({"hours": 1}, past, scheduler=ASHA)
    clock.now += HOUR - 11
    rooms = [limits.has_room(a_record(1, *rows), 0) for rows in ([], [0.1], [0.1, 0.2])]
    assert rooms == [False, True, True]


def test_gpu_hours_are_shared_with_the_trials_that_run(limits_of, a_record):
    past = [slow(a_record(0, 0.5), 600.0)]
    resources = {"per_worker": {"gpus": 1}}
    limits = limits_of({"gpu_hours": 1}, past, scheduler=ASHA, resources=resources)
    assert [limits.has_room(a_record(1), beside) for beside in (1, 2, 3)] == [True, True, False]


def test_each_network_has_a_speed_of_its_own_and_recorded_ones_serve_until_then(
    limits_of, a_record, clock
):
    options = {"model": {"one_of": {"cnn": {}, "vit": {}, "convnext": {}}}}
    past = [slow(a_record(0, 0.5, overrides=("model=cnn", "a=1")), 10.0)]
    recorded = {frozenset({"model=vit"}): 100.0}
    limits = limits_of({"hours": 1}, past, recorded, search=options, scheduler=ASHA)
    clock.now += HOUR - 50
    rooms = {
        name: limits.has_room(a_record(1, overrides=(f"model={name}",)), 0)
        for name in ("cnn", "vit", "convnext")
    }
    assert rooms == {"cnn": True, "vit": False, "convnext": True}


def test_a_population_starts_whole_or_not_at_all(limits_of, a_record, clock):
    past = [slow(a_record(9, 0.5), 10.0)]
    limits = limits_of({"hours": 1, "trials": 4}, past, scheduler={"pbt": {"every_epochs": 2}})
    clock.now += HOUR - 21
    assert limits.has_room(a_record(0), 0)
    clock.now += 15
    assert limits.has_room(a_record(1), 1)


def test_a_start_with_orphans_that_have_no_room_runs_nothing(limits_of, a_record, clock):
    past = [slow(a_record(0, 0.5), 10.0)]
    limits = limits_of({"hours": 1}, past, scheduler=ASHA)
    clock.now += HOUR - 15
    assert limits.leaves_nothing([a_record(1)])
    assert not limits.leaves_nothing([a_record(1), a_record(2, 0.5)])
    assert not limits.leaves_nothing([])


@pytest.fixture
def search_of(a_study, tmp_path):
    """A searcher that finds no room for the trials of these numbers."""

    def make(*without_room):
        def has_room(record, beside):
            return record.number not in without_room

        study = a_study()
        plan = SearchPlan(9, 1, TrialFiles(str(tmp_path)), lambda n: "run", has_room=has_room)
        return StudySearch(study, Journal.open(study, tmp_path), plan, [], Guard())

    return make


def test_a_trial_without_room_waits_in_the_journal_and_comes_first_later(search_of):
    search = search_of(1)
    assert search.suggest("a")["number"] == 0
    assert search.suggest("b") == search.FINISHED
    assert search_of(0).suggest("c")["number"] == 1
    assert search_of(0, 1).suggest("d") == search.FINISHED
    assert search_of().suggest("e")["number"] == 0


def test_spent_seconds_go_on_from_earlier_starts(clock):
    spent = Spent(10.0, 4.0, clock)
    clock.now += 5
    assert (spent.seconds, spent.gpu_seconds) == (15.0, 4.0)
