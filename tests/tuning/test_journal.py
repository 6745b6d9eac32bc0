import optuna
import pytest

from mhray.errors import StorageError, StudyConflictError
from mhray.training.epoch_row import EpochRow
from mhray.training.selection import Selection
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.confirmation import study_of_runs
from mhray.tuning.journal import Journal
from mhray.tuning.samplers import sampler_of
from mhray.tuning.storage import open_storage
from mhray.tuning.study import dump_study

DATA = {"fingerprint": "f00d", "seed": 0, "val_fraction": 0.1}
SELECTION = Selection("val/acc_mean", "max")
WEIGHTS = {"simplex": ["left", "right"]}


def a_row(epoch, value, best=None):
    return EpochRow(epoch, {"val/acc_mean": value}, best or value, 1.5, 100.0 + epoch)


@pytest.fixture
def study(a_study):
    return a_study()


@pytest.fixture
def journal(study, tmp_path):
    return Journal.open(study, tmp_path)


def start_trial(journal, study):
    trial = journal.ask(sampler_of(study, 0))
    journal.describe(trial.number, ["a=1"], 12345)
    return trial.number


def test_what_is_written_is_read_by_the_next_process(journal, study, tmp_path):
    number = start_trial(journal, study)
    journal.count_start(number)
    journal.add_epoch(number, a_row(1, 0.5))
    journal.end(number, "COMPLETE", value=0.5, checkpoint="best.ckpt", mlflow_run_id="run")
    record = Journal.open(study, tmp_path).trial(number)
    assert (record.state, record.overrides, record.seed) == ("COMPLETE", ("a=1",), 12345)
    assert (record.starts, record.checkpoint, record.mlflow_run_id) == (1, "best.ckpt", "run")
    assert record.epochs == (a_row(1, 0.5),)


def test_an_epoch_is_recorded_once(journal, study):
    number = start_trial(journal, study)
    assert journal.add_epoch(number, a_row(1, 0.5))
    assert not journal.add_epoch(number, a_row(1, 0.6))
    assert journal.trial(number).epochs == (a_row(1, 0.5),)


def test_a_stopped_trial_is_told_as_pruned_with_its_last_value(journal, study, tmp_path):
    number = start_trial(journal, study)
    journal.add_epoch(number, a_row(1, 0.5))
    journal.add_epoch(number, a_row(2, 0.4, best=0.5))
    journal.end(number, "PRUNED")
    told = optuna.load_study(
        study_name="s", storage=open_storage(f"sqlite:///{tmp_path}/journal.db")
    ).trials[0]
    assert told.state == optuna.trial.TrialState.PRUNED
    assert (told.value, told.last_step) == (0.5, 2)


def test_a_trial_that_was_running_is_an_orphan(journal, study, tmp_path):
    number = start_trial(journal, study)
    assert [record.number for record in Journal.open(study, tmp_path).orphans()] == [number]


def test_the_best_epoch_is_the_earliest_of_equals(journal, study):
    number = start_trial(journal, study)
    for row in (a_row(1, 0.5), a_row(2, 0.7), a_row(3, 0.7)):
        journal.add_epoch(number, row)
    assert journal.trial(number).best_epoch(SELECTION).epoch == 2
    assert journal.trial(number).best_epoch(Selection("val/acc_mean", "min")).epoch == 1


def test_seconds_add_up_over_starts(journal, study, tmp_path):
    spent = journal.spent.seconds
    journal.end(start_trial(journal, study), "FAIL", failure="why")
    resumed = Journal.open(study, tmp_path)
    assert resumed.spent.seconds > spent > 0
    resumed.save_spent()
    assert Journal.open(study, tmp_path).spent.seconds > resumed.spent.seconds - 1
    assert journal.trial(0).failure == "why"


def test_an_enqueued_trial_comes_first_and_does_not_count_before(journal, study):
    journal.enqueue({"model.optimizer.lr": 0.003})
    assert journal.trials() == []
    assert not journal.is_empty()
    trial = journal.ask(sampler_of(study, 0))
    assert trial.suggest_float("model.optimizer.lr", 1e-4, 1e-2, log=True) == 0.003


def test_a_trial_is_enqueued_once_however_often_it_is_asked_for(journal, study, tmp_path):
    for rate in (0.003, 0.004, 0.003):
        Journal.open(study, tmp_path).enqueue({"model": "cnn", "model.optimizer.lr": rate})
    trials = [journal.ask(sampler_of(study, 0)) for _ in range(3)]
    rates = [trial.suggest_float("model.optimizer.lr", 1e-4, 1e-2) for trial in trials]
    assert rates[:2] == [0.003, 0.004]
    assert rates[2] not in rates[:2]


def test_a_reopened_trial_keeps_what_was_drawn(journal, study, tmp_path):
    trial = journal.ask(sampler_of(study, 0))
    drawn = trial.suggest_float("x", 0.0, 1.0)
    again = Journal.open(study, tmp_path).reopen(trial.number, sampler_of(study, 1))
    assert again.suggest_float("x", 0.0, 1.0) == drawn


RATE = "model.optimizer.lr"


@pytest.mark.parametrize(
    ("sections", "path", "line"),
    [
        ({"base": {"trainer.max_epochs": 3}}, "base.trainer.max_epochs", "9 -> 3 (other value)"),
        (
            {"search": {"model.loss_weights": WEIGHTS, RATE: {"uniform": [0.1, 0.2]}}},
            f"search.{RATE}",
            "{log_uniform: [0.0001, 0.01]} -> {uniform: [0.1, 0.2]} (other kind)",
        ),
        (
            {"objectives": [{"maximize": "val/left_acc"}]},
            "objectives",
            "[{maximize: 'val/acc_mean'}] -> [{maximize: 'val/left_acc'}] (other value)",
        ),
        (
            {"select": {"maximize": "val/left_acc"}},
            "select.maximize",
            "'val/acc_mean' -> 'val/left_acc' (other value)",
        ),
        ({"enqueue": ["class_count"]}, "enqueue", "null -> ['class_count'] (other value)"),
    ],
)
@pytest.mark.parametrize("accepts", [False, True])
def test_another_study_of_the_same_name_is_refused(
    journal, study, a_study, sections, path, line, accepts
):
    journal.begin(dump_study(study), DATA, {})
    with pytest.raises(StudyConflictError) as refused:
        journal.begin(dump_study(a_study(**sections)), DATA, {}, accepts_changes=accepts)
    assert str(refused.value) == (
        f"name: the journal holds another study named s:\n  {path}: {line}\n"
        f"write another name, or take back what cannot change: {path}"
    )


def test_a_study_from_before_there_were_given_trials_goes_on(journal, study):
    before = dump_study(study)
    del before["enqueue"]
    journal.begin(before, DATA, {})
    journal.begin(dump_study(study), DATA, {})


FRONT = {"objectives": [{"maximize": "val/left_acc"}, {"minimize": "val/right_loss"}]}


@pytest.mark.parametrize(("first", "then"), [("random", "nsga2"), ("nsga2", "tpe")])
@pytest.mark.parametrize("has_begun", [True, False])
def test_a_sampler_that_is_told_something_else_is_refused(
    a_study, tmp_path, first, then, has_begun
):
    before, now = (a_study(**FRONT, sampler={kind: {}}) for kind in (first, then))
    journal = Journal.open(before, tmp_path)
    if has_begun:
        journal.begin(dump_study(before), DATA, {})
    with pytest.raises(StudyConflictError, match="whose sampler is told something else: nsga2 all"):
        Journal.open(now, tmp_path).begin(dump_study(now), DATA, {})


def test_a_sampler_that_is_told_the_same_may_follow(a_study, tmp_path):
    for kind in ("random", "qmc", "tpe", "cmaes"):
        study = a_study(**FRONT, sampler={kind: {}})
        journal = Journal.open(study, tmp_path)
        journal.begin(dump_study(study), DATA, {}, accepts_changes=True)


def test_another_data_set_is_refused(journal, study):
    journal.begin(dump_study(study), DATA, {})
    with pytest.raises(
        StudyConflictError, match=r"data\.fingerprint: 'f00d' -> 'beef' \(other data\)\nwrite"
    ):
        journal.begin(dump_study(study), {**DATA, "fingerprint": "beef"}, {})


def test_a_larger_budget_goes_on_and_is_recorded(journal, study, a_study, tmp_path):
    journal.begin(dump_study(study), DATA, {})
    journal.begin(dump_study(a_study(budget={"trials": 9})), DATA, {})
    stored = optuna.load_study(
        study_name="s", storage=open_storage(f"sqlite:///{tmp_path}/journal.db")
    )
    assert stored.user_attrs["changes"][0]["study"]["budget"]["trials"] == 9


def test_a_file_that_is_no_database_is_named(study, tmp_path):
    (tmp_path / "journal.db").write_text("rubbish" * 100)
    with pytest.raises(StorageError, match=r"journal\.db cannot be opened .*not a database"):
        Journal.open(study, tmp_path)


def test_a_file_that_is_no_journal_is_named(a_study, tmp_path):
    (tmp_path / "journal.log").write_text("rubbish")
    with pytest.raises(StorageError, match=r"journal: journal-file:.* cannot be opened"):
        Journal.open(a_study(journal=f"journal-file:{tmp_path}/journal.log"), tmp_path).trials()


def test_the_password_of_a_database_is_not_shown(a_study, tmp_path):
    study = a_study(journal="nosql://me:secret@host/db")
    with pytest.raises(StorageError, match=r"nosql://me:\*\*\*@host/db cannot be opened"):
        Journal.open(study, tmp_path)


def test_a_study_that_is_none_of_ours_is_left_alone(study, tmp_path):
    foreign = optuna.create_study(
        study_name="s", storage=open_storage(f"sqlite:///{tmp_path}/journal.db")
    )
    foreign.ask()
    with pytest.raises(StudyConflictError, match="named s that is none of mhray's"):
        Journal.open(study, tmp_path).begin(dump_study(study), DATA, {})


def test_a_journal_file_serves_as_well(a_study, tmp_path):
    study = a_study(journal=f"journal-file:{tmp_path}/journal.log")
    number = start_trial(Journal.open(study, tmp_path), study)
    assert Journal.open(study, tmp_path).trial(number).overrides == ("a=1",)


@pytest.fixture
def runs(journal, study):
    """The journal of the runs that confirm the study's best."""
    return journal.confirmations(study_of_runs(study, Confirm()))


def test_confirmation_runs_are_read_again_and_are_no_trials(journal, study, runs, tmp_path):
    number = runs.add("trial 3", ["a=1", "seed=7"], 7).number
    runs.add_epoch(number, a_row(1, 0.5))
    runs.end(number, "COMPLETE", value=0.5)
    again = Journal.open(study, tmp_path)
    assert again.is_empty()
    [record] = again.confirmations(study_of_runs(study, Confirm())).ended()
    assert (record.candidate, record.overrides, record.seed) == ("trial 3", ("a=1", "seed=7"), 7)


def test_what_confirmation_runs_spend_is_the_studys(journal, study, runs, tmp_path):
    number = runs.add("trial 3", ["a=1"], 7).number
    before = Journal.open(study, tmp_path).spent.seconds
    runs.add_epoch(number, a_row(1, 0.5))
    assert Journal.open(study, tmp_path).spent.seconds > before


def test_a_run_that_was_cut_off_before_it_was_described_becomes_the_next_one(journal, runs):
    runs._study.ask()
    assert [runs.add(name, ["a=1"], 7).number for name in ("trial 3", "trial 4")] == [0, 1]
