"""A fresh start keeps what was there, under a name with which it can be gone on with."""

from datetime import datetime
from pathlib import Path

import optuna
import pytest

from mhray.training.remote import RemoteDirectory
from mhray.tuning import set_aside as module
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.confirmation import study_of_runs
from mhray.tuning.journal import Journal
from mhray.tuning.samplers import sampler_of
from mhray.tuning.set_aside import finish_setting_aside, set_aside
from mhray.tuning.storage import open_storage
from mhray.tuning.study import dump_study

MORNING = datetime.fromisoformat("2026-11-28T04:15:00+00:00")
PLACES = ["auto", "sqlite:///{}/shared.db", "journal-file:{}/studies/s/shared.log"]
STORED = ["0/best.ckpt", "0/last.ckpt", "1/last.ckpt"]
DATED = "s-20261128-0415"


@pytest.fixture(params=PLACES, ids=["auto", "url", "file"])
def begun(a_study, tmp_path, request):
    """A study with a finished trial and its files; gives study and directory."""
    directory = tmp_path / "studies" / "s"
    study = a_study(journal=request.param.format(tmp_path))
    begin(study, directory)
    return study, directory


def begin(study, directory):
    for part in ("checkpoints/0", "mlflow-artifacts"):
        (directory / part).mkdir(parents=True)
    for file in ("checkpoints/0/best.ckpt", "mlflow.jsonl", "lock", "mlflow-artifacts/model"):
        (directory / file).write_text(file)
    journal = Journal.open(study, directory)
    journal.begin(dump_study(study), {}, {})
    number = journal.ask(sampler_of(study, 0)).number
    journal.end(number, "FAIL", checkpoint=f"{directory}/checkpoints/0/best.ckpt")
    runs = confirmations(journal, study)
    run = runs.add("trial 0", ["a=1"], 1)
    runs.end(run.number, "FAIL", checkpoint=f"{directory}/confirmation/0/best.ckpt")


def confirmations(journal, study):
    return journal.confirmations(study_of_runs(study, Confirm()))


def kept_trials(study, directory, name=DATED):
    kept = study.model_copy(update={"name": name})
    journal = Journal.open(kept, directory.with_name(name))
    return [*journal.trials(), *confirmations(journal, kept).trials()]


def assert_kept_whole_and_begun_anew(study, directory):
    target = directory.with_name(DATED)
    record, run = kept_trials(study, directory)
    assert Path(run.checkpoint) == target / "confirmation" / "0" / "best.ckpt"
    assert Path(record.checkpoint) == target / "checkpoints" / "0" / "best.ckpt"
    assert Path(record.checkpoint).read_text() == "checkpoints/0/best.ckpt"
    assert (target / "mlflow.jsonl").is_file()
    assert (directory / "mlflow-artifacts" / "model").is_file(), "MLflow looks for it here"
    assert not (directory / "checkpoints").exists()
    journal = Journal.open(study, directory)
    assert journal.is_empty()
    assert confirmations(journal, study).is_empty()


def test_the_old_study_is_kept_whole_and_the_new_one_is_empty(begun):
    study, directory = begun
    assert set_aside(study, directory, MORNING) == DATED
    assert_kept_whole_and_begun_anew(study, directory)


def test_two_fresh_starts_of_a_minute_have_two_names(begun):
    study, directory = begun
    names = []
    for _ in range(2):
        names.append(set_aside(study, directory, MORNING))
        journal = Journal.open(study, directory)
        journal.begin(dump_study(study), {}, {})
    assert names == [DATED, f"{DATED}-2"]
    assert [len(kept_trials(study, directory, name)) for name in names] == [2, 0]


def test_where_there_is_no_study_nothing_is_set_aside(a_study, tmp_path):
    study = a_study(journal=f"sqlite:///{tmp_path}/shared.db")
    optuna.create_study(storage=open_storage(study.journal), study_name="s").ask()
    for place in (study, a_study()):
        assert set_aside(place, tmp_path, MORNING) == ""
    assert len(optuna.load_study(storage=open_storage(study.journal), study_name="s").trials) == 1


class CutOffError(Exception):
    """Raised in a test where a process would be killed."""


def cut_off(*_):
    raise CutOffError


@pytest.mark.parametrize("act", ["copy", "delete", "_entries", "relocated"])
def test_a_fresh_start_that_is_cut_off_is_finished_by_the_next_start(begun, monkeypatch, act):
    study, directory = begun
    with monkeypatch.context() as patch:
        patch.setattr(module, act, cut_off)
        with pytest.raises(CutOffError):
            set_aside(study, directory, MORNING)
    finish_setting_aside(study, directory)
    assert_kept_whole_and_begun_anew(study, directory)


@pytest.fixture
def stored(a_study, tmp_path):
    """A study with a finished trial whose trials write into an object store; gives both places."""
    store = tmp_path / "store"
    for file in STORED:
        (store / "s" / "checkpoints" / file).parent.mkdir(parents=True, exist_ok=True)
        (store / "s" / "checkpoints" / file).write_text(file)
    study = a_study(journal=f"sqlite:///{tmp_path}/shared.db", storage=f"file://{store}")
    begin(study, tmp_path / "studies" / "s")
    return study, tmp_path / "studies" / "s", store


def assert_moved(store, name):
    assert [folder.name for folder in store.iterdir()] == [name]
    files = [path for path in (store / name / "checkpoints").rglob("*") if path.is_file()]
    assert {str(path.relative_to(store / name / "checkpoints")) for path in files} == set(STORED)
    assert all(path.read_text() == str(path)[-len(STORED[0]) :] for path in files)


def test_what_trials_wrote_into_a_store_goes_with_the_old_study(stored):
    study, directory, store = stored
    assert set_aside(study, directory, MORNING) == DATED
    assert_moved(store, DATED)


def test_files_in_a_store_whose_move_was_cut_off_are_moved_by_the_next_start(stored, monkeypatch):
    study, directory, store = stored
    with monkeypatch.context() as patch:
        patch.setattr(RemoteDirectory, "remove_all", cut_off)
        with pytest.raises(CutOffError):
            set_aside(study, directory, MORNING)
    (store / "s" / "checkpoints" / STORED[0]).unlink()
    finish_setting_aside(study, directory)
    assert_moved(store, DATED)


def test_a_name_that_is_taken_in_the_store_is_not_taken_again(stored):
    study, directory, store = stored
    (store / DATED).mkdir()
    assert set_aside(study, directory, MORNING) == f"{DATED}-2"


def test_the_name_is_free_again_in_a_shared_journal(a_study, tmp_path):
    study = a_study(journal=f"sqlite:///{tmp_path}/shared.db")
    begin(study, tmp_path / "studies" / "s")
    set_aside(study, tmp_path / "studies" / "s", MORNING)
    names = optuna.get_all_study_names(open_storage(study.journal))
    assert names == [DATED, f"{DATED}/confirm"]
