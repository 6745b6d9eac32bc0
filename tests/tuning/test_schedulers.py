import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from mhray.training.trial_files import TrialFiles
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.pbt import PopulationBasedTraining
from mhray.tuning.schedulers import most_unfinished, scheduler_of, stopping_scheduler
from mhray.tuning.search import SearchPlan

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
ASHA = {"asha": {"grace_epochs": 1, "keep_one_in": 3}}
MEDIAN = {"median": {"grace_epochs": 1, "min_trials": 2}}
HYPERBAND = {"hyperband": {"grace_epochs": 1, "keep_one_in": 3}}
STOPPING = pytest.mark.parametrize("kind", [ASHA, MEDIAN, HYPERBAND])
# The first bracket of Hyperband has these numbers, and stops at epoch 1.
FIRST_BRACKET = (0, 2, 4, 5, 7)


@pytest.fixture
def scheduler(a_study):
    def make(kind, past=()):
        return stopping_scheduler(a_study(scheduler=kind), 9, past)

    return make


def test_a_study_without_a_scheduler_stops_nothing(scheduler):
    assert type(scheduler(None)) is FIFOScheduler


def test_a_population_is_made_of_all_trials(a_study, tmp_path):
    study = a_study(scheduler={"pbt": {}}, budget={"trials": 7})
    plan = SearchPlan(9, 12345, TrialFiles(str(tmp_path)), lambda number: "run")
    made = scheduler_of(study, plan, Journal.open(study, tmp_path), Guard())
    assert isinstance(made, PopulationBasedTraining)
    assert (most_unfinished(study, 2), most_unfinished(a_study(), 2)) == (7, 2)


@STOPPING
def test_a_trial_is_compared_with_those_of_earlier_starts(scheduler, a_record, decision, kind):
    past = [a_record(number, 0.9) for number in FIRST_BRACKET[:4]]
    assert decision(scheduler(kind, past), 7, 0.1) == STOP
    assert decision(scheduler(kind), 7, 0.1) == CONTINUE


@STOPPING
def test_a_resumed_trial_counts_with_what_it_did_before(scheduler, a_record, added, decision, kind):
    running = [a_record(number, 0.9, state="RUNNING") for number in FIRST_BRACKET[:4]]
    made = scheduler(kind, running)
    for record in running:
        added(made, record.number)
    assert decision(made, 7, 0.1) == STOP


@STOPPING
def test_of_several_objectives_only_select_is_compared(a_study, a_record, decision, kind):
    objectives = [{"maximize": "val/left_acc"}, {"minimize": "val/right_loss"}]
    study = a_study(scheduler=kind, objectives=objectives, sampler={"nsga2": {"population": 2}})
    past = [a_record(number, 0.5) for number in FIRST_BRACKET[:4]]
    assert decision(stopping_scheduler(study, 9, past), 7, 0.1) == STOP
    assert decision(stopping_scheduler(study, 9, past), 7, 0.8) == CONTINUE


@STOPPING
def test_a_good_trial_goes_on(scheduler, a_record, decision, kind):
    past = [a_record(number, 0.5) for number in FIRST_BRACKET[:4]]
    assert decision(scheduler(kind, past), 7, 0.8) == CONTINUE


@STOPPING
def test_the_baseline_is_never_stopped_early(scheduler, a_record, decision, kind):
    past = [a_record(number, 0.9) for number in FIRST_BRACKET[1:]]
    assert decision(scheduler(kind, past), 0, 0.1) == CONTINUE


@STOPPING
def test_a_reported_failure_is_left_to_the_searcher(scheduler, added, kind):
    made = scheduler(kind)
    assert made.on_trial_result(None, added(made, 3), {"failure": "x"}) == CONTINUE


@pytest.mark.parametrize("kind", [ASHA, HYPERBAND])
def test_the_last_epoch_ends_every_trial(scheduler, decision, kind):
    assert decision(scheduler(kind), 0, 0.1, epoch=9) == STOP
