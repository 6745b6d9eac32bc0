from collections import Counter

import optuna
import pytest

from mhray.training.project import shipped_directory
from mhray.training.trial_files import TrialFiles
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.samplers import sampler_of
from mhray.tuning.search import SearchPlan, StudySearch, baselines_of
from mhray.tuning.study_file import load_study
from mhray.tuning.trial_overrides import overrides_of, samples_of


class Listener:
    def __init__(self):
        self.heard = []

    def trial_started(self, record):
        self.heard.append(("started", record.number))

    def epoch_ended(self, number, row):
        self.heard.append(("epoch", number, row.epoch))

    def trial_ended(self, record):
        self.heard.append(("ended", record.number, record.state))


@pytest.fixture
def search_of(tmp_path):
    def make(study):
        plan = SearchPlan(9, 12345, TrialFiles(str(tmp_path)), lambda number: "run")
        journal = Journal.open(study, tmp_path)
        listener, guard = Listener(), Guard()
        return StudySearch(study, journal, plan, [listener], guard), journal, listener, guard

    return make


def result(epoch, value, best=None):
    return {
        "epoch": epoch,
        "best": best or value,
        "seconds": 1.0,
        "time": 0.0,
        "images_per_second": 100.0,
        "metrics/val/acc_mean": value,
        "trial_id": "ray's own",
    }


def test_a_trial_gets_the_base_and_its_draw_as_overrides(search_of, a_study):
    search, journal, _, _ = search_of(a_study())
    assignment = search.suggest("t")
    paths = [override.split("=")[0] for override in assignment["overrides"]]
    assert paths == [
        "trainer.max_epochs",
        "model.loss_weights.left",
        "model.loss_weights.right",
        "model.optimizer.lr",
    ]
    assert journal.trial(0).overrides == tuple(assignment["overrides"])


def test_another_selection_and_more_workers_are_part_of_the_overrides(a_study):
    study = a_study(select={"maximize": "val/left_acc"}, resources={"workers_per_trial": 2})
    overrides = samples_of(study, 1)[0]
    assert {"select.metric=val/left_acc", "workers=2"} <= set(overrides)


OPTIONS = {
    "model": {"one_of": {"cnn": {}, "vit": {"model.net.dim": {"integer": [8, 64]}}}},
    "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
}
CONFIGS = {
    "model=cnn": {"model": {"optimizer": {"lr": 5e-4}}},
    "model=vit": {"model": {"optimizer": {"lr": 2e-3}, "net": {"dim": 48}}},
}


def test_each_option_that_is_a_bracket_has_a_baseline_of_its_own_config(a_study):
    study = a_study(search=OPTIONS, scheduler={"asha": {"within": "model"}})
    assert baselines_of(study, lambda overrides: CONFIGS[overrides[-1]]) == [
        {"model": "cnn", "model.optimizer.lr": 5e-4},
        {"model": "vit", "model=vit/model.net.dim": 48, "model.optimizer.lr": 2e-3},
    ]


@pytest.mark.parametrize("scheduler", [None, {"asha": {}}])
def test_without_brackets_trial_0_is_the_only_baseline(a_study, scheduler):
    study = a_study(search=OPTIONS, scheduler=scheduler)
    [parameters] = baselines_of(study, lambda overrides: CONFIGS["model=cnn"])
    assert parameters == {"model": "cnn", "model.optimizer.lr": 5e-4}


def test_the_sweep_of_architectures_draws_each_four_times_before_it_estimates():
    root = shipped_directory()
    study = load_study(root / "configs" / "sweep_architectures.yaml", (), root).study
    sequence = optuna.create_study(sampler=sampler_of(study, 0))
    for parameters in baselines_of(study, lambda overrides: {}):
        sequence.enqueue_trial(parameters)
    drawn = [overrides_of(study, sequence.ask()) for _ in range(study.sampler.tpe.startup_trials)]
    counts = Counter(override for overrides in drawn for override in overrides)
    options = [f"model={option}" for option in study.search["model"].one_of]
    assert [counts[option] for option in options] == [4, 4, 4, 4]


def test_only_a_trial_at_its_last_epoch_is_complete(search_of, a_study):
    search, journal, listener, _ = search_of(a_study())
    for trial_id, last in (("a", 9), ("b", 3)):
        search.suggest(trial_id)
        search.on_trial_result(trial_id, result(1, 0.2))
        search.on_trial_complete(trial_id, result(last, 0.3))
    assert [record.state for record in journal.trials()] == ["COMPLETE", "PRUNED"]
    assert listener.heard[-3:] == [("epoch", 1, 1), ("epoch", 1, 3), ("ended", 1, "PRUNED")]


def test_a_failed_trial_tells_why(search_of, a_study, tmp_path):
    search, journal, _, _ = search_of(a_study())
    search.suggest("a")
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "failure.txt").write_text("no memory")
    search.on_trial_complete("a", None, error=True)
    assert (journal.trial(0).state, journal.trial(0).failure) == ("FAIL", "no memory")


def test_a_trial_whose_process_died_says_so(search_of, a_study):
    search, journal, _, _ = search_of(a_study())
    search.suggest("a")
    search.on_trial_complete("a", result(1, 0.2), error=True)
    assert journal.trial(0).failure.startswith("its process died without a word")


def test_a_reported_failure_is_no_epoch(search_of, a_study):
    search, journal, _, _ = search_of(a_study())
    search.suggest("a")
    search.on_trial_result("a", {"failure": "diverged"})
    search.on_trial_complete("a", {"failure": "diverged"})
    assert (journal.trial(0).state, journal.trial(0).epochs) == ("FAIL", ())


def test_orphans_come_first_under_their_own_number(search_of, a_study):
    first, _, _, _ = search_of(a_study())
    before = first.suggest("a")
    second, _, _, _ = search_of(a_study())
    assert second.suggest("b") == before
    assert second.suggest("c")["number"] == 1


def test_an_orphan_that_was_never_described_is_drawn_again(search_of, a_study, tmp_path):
    study = a_study()
    trial = Journal.open(study, tmp_path).ask(sampler_of(study, 0))
    search, _, _, _ = search_of(study)
    assert search.suggest("a")["number"] == trial.number


def test_a_resumed_sweep_does_not_draw_the_same_again(search_of, a_study):
    first, _, _, _ = search_of(a_study())
    drawn = first.suggest("a")["overrides"]
    first.on_trial_complete("a", result(9, 0.3))
    second, _, _, _ = search_of(a_study())
    assert second.suggest("b")["overrides"] != drawn


@pytest.mark.parametrize("sampler", [{"tpe": {"startup_trials": 2}}, {"random": {"seed": 3}}])
def test_one_seed_gives_one_sequence_of_trials(search_of, a_study, tmp_path, sampler):
    sequences = []
    for name in ("a", "b"):
        search, _, _, _ = search_of(a_study(name=name, sampler=sampler))
        sequences.append([])
        for index in range(5):
            sequences[-1].append(search.suggest(str(index))["overrides"])
            search.on_trial_complete(str(index), result(9, index / 10))
    assert sequences[0] == sequences[1]


def test_an_error_trips_the_guard_and_ends_the_search(search_of, a_study):
    search, _, _, guard = search_of(a_study())
    search.on_trial_result("never suggested", result(1, 0.2))
    assert isinstance(guard.error, KeyError)
    search._journal = None
    assert search.suggest("a") == search.FINISHED
    with pytest.raises(KeyError):
        guard.reraise()
