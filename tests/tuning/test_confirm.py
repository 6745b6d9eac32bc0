"""What the searcher of a confirmation hands out, on a real journal; no Ray runs."""

import pytest
from ray.tune.search import Searcher

from mhray.training.epoch_row import EpochRow
from mhray.training.trial_files import TrialFiles
from mhray.tuning.confirm import RaceSearch
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.confirmation import Confirmation, study_of_runs
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.search import SearchPlan

CONFIRM = Confirm(top=1, seeds=2, max_seeds=2)
SEARCH = {"model.optimizer.lr": {"uniform": [0.1, 0.2]}}


@pytest.fixture
def study(a_study):
    """A study of a learning rate: nobody has a twin."""
    return a_study(search=SEARCH, base={"trainer.max_epochs": 1})


@pytest.fixture
def runs(study, tmp_path):
    return Journal.open(study, tmp_path).confirmations(study_of_runs(study, CONFIRM))


@pytest.fixture
def searcher(study, runs, a_record, tmp_path):
    """Makes the searcher of one start, after a search of two trials."""
    trials = [
        a_record(number, value, state="COMPLETE", overrides=(f"model.optimizer.lr=0.1{number}",))
        for number, value in enumerate((0.4, 0.5))
    ]

    def start(has_room=lambda _record, _beside: True):
        plan = SearchPlan(1, 0, TrialFiles(str(tmp_path)), lambda _: "run", has_room=has_room)
        guard = Guard()
        state = lambda: Confirmation(study, CONFIRM, trials, runs.trials())  # noqa: E731
        own = study_of_runs(study, CONFIRM)
        return RaceSearch(own, runs, plan, [], guard, state)

    return start


def end(search, trial, value):
    row = EpochRow(1, {}, value, 1.0, 0.0)
    fields = {"epoch": row.epoch, "best": value, "seconds": 1.0, "time": 0.0}
    metrics = {"images_per_second": 1.0, "metrics/val/acc_mean": value}
    search.on_trial_complete(trial, {**fields, **metrics})


def test_runs_are_handed_out_until_the_race_waits_and_then_is_over(searcher, runs):
    search = searcher()
    handed = [search.suggest(name) for name in "abcd"]
    assert [each["overrides"] for each in handed] == [
        [f"model.optimizer.lr=0.1{number}", f"seed={seed}"] for seed in (1, 2) for number in (1, 0)
    ]
    assert search.suggest("e") is None
    for name, value in zip("abcd", (0.5, 0.4, 0.5, 0.4), strict=True):
        end(search, name, value)
    assert search.suggest("e") == Searcher.FINISHED
    assert [(run.candidate, run.state) for run in runs.trials()] == [
        ("trial 1", "COMPLETE"),
        ("trial 0", "COMPLETE"),
    ] * 2


def test_a_run_that_was_cut_off_is_handed_out_again_under_its_number(searcher, runs):
    first = searcher()
    assert [first.suggest(name)["number"] for name in "ab"] == [0, 1]
    end(first, "a", 0.5)
    again = searcher()
    assert [again.suggest(name)["number"] for name in "abc"] == [1, 2, 3]
    assert len(runs.trials()) == 4


def test_a_run_without_room_ends_the_sweep_and_is_kept(searcher, runs):
    assert searcher(lambda _record, beside: beside == 0).suggest("a")["number"] == 0
    search = searcher(lambda _record, _beside: False)
    assert search.suggest("a") == Searcher.FINISHED
    assert [run.number for run in runs.orphans()] == [0]
