import pytest

from mhray.errors import ConfigError, StorageError
from mhray.tuning.journal import Journal
from mhray.tuning.naming import journal_of, study_directories
from mhray.tuning.storage import find_study
from mhray.tuning.study import dump_study

FILE = (
    "name: s\nstorage: {storage}\nsearch: {{model.optimizer.lr: {{log_uniform: [1e-4, 1e-2]}}}}\n"
)


@pytest.fixture
def storage(a_study, tmp_path):
    """A storage with the study s, which was started and has no trial."""
    (tmp_path / "studies" / "s").mkdir(parents=True)
    study = a_study()
    journal = Journal.open(study, tmp_path / "studies" / "s")
    journal.begin(dump_study(study), {"fingerprint": "f00d"}, {"commit": "1"})
    return tmp_path / "studies"


def test_a_study_is_named_by_its_file(storage, tmp_path):
    (tmp_path / "s.yaml").write_text(FILE.format(storage=storage))
    journal, directory = journal_of(str(tmp_path / "s.yaml"))
    assert (journal.about().data, directory) == ({"fingerprint": "f00d"}, storage / "s")


def test_a_study_is_named_by_a_file_with_mistakes_elsewhere(storage, tmp_path):
    (tmp_path / "s.yaml").write_text(FILE.format(storage=storage) + "budgit: {}\n")
    assert journal_of(str(tmp_path / "s.yaml"))[1] == storage / "s"


def test_a_study_is_named_by_its_directory(storage, monkeypatch):
    monkeypatch.chdir(storage / "s")
    assert journal_of(str(storage / "s"))[0].about() == journal_of(".")[0].about()


def test_the_studies_of_a_storage_are_those_with_a_journal(storage):
    (storage / "other").mkdir()
    assert study_directories(storage) == [storage / "s"]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (
            "z",
            "is neither a study file nor a study's directory; did you mean {0}/s? (one of:",
        ),
        (
            "",
            "there is no journal.db in it, so its journal is elsewhere; write its study file",
        ),
    ],
)
def test_what_names_no_study_is_refused(storage, named, message):
    with pytest.raises(ConfigError) as refused:
        journal_of(f"{storage}/{named}")
    assert str(refused.value).startswith(f"{storage}/{named}: {message.format(storage)}")


def test_a_file_whose_study_was_never_started_is_refused(tmp_path):
    (tmp_path / "s.yaml").write_text(FILE.format(storage=tmp_path / "none"))
    with pytest.raises(StorageError) as refused:
        journal_of(str(tmp_path / "s.yaml"))
    assert str(refused.value) == (
        f"journal: there is no {tmp_path}/none/s/journal.db, so the study s has not been started; "
        "run it first"
    )
    assert not (tmp_path / "none").exists()


def test_a_journal_without_the_study_is_refused(storage):
    where = f"sqlite:///{storage}/s/journal.db"
    with pytest.raises(StorageError, match=rf"^journal: {where} has no study named t; one of: s$"):
        find_study("t", where)
