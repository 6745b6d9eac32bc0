"""The commands that show what journals hold: report, studies and compare."""

import fcntl

import pytest

from mhray import compare, report, studies
from mhray.training.epoch_row import EpochRow
from mhray.tuning.journal import Journal
from mhray.tuning.samplers import sampler_of
from mhray.tuning.study import Study, dump_study

SEARCH = {"model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]}}
DATA = {"fingerprint": "f00d", "seed": 0, "val_fraction": 0.1}


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """Two studies of the same data, one that has not ended, and one of other data."""
    storage = tmp_path_factory.mktemp("shown") / "studies"
    write(storage / "first", {0.001: 0.5, 0.002: 0.75})
    write(storage / "second", {0.001: 0.625, 0.002: 0.875}, trials=3)
    write(storage / "other", {0.001: 0.5}, {**DATA, "fingerprint": "cafe"})
    return storage


def write(directory, reached, data=DATA, trials=2, **sections):
    study = Study.model_validate(
        {"name": directory.name, "search": SEARCH, "budget": {"trials": trials}, **sections}
    )
    directory.mkdir(parents=True)
    journal = Journal.open(study, directory)
    journal.begin(dump_study(study), data, {"commit": "1"})
    journal.note_start("Why?", f"python -m mhray.sweep {directory.name}.yaml", "")
    for lr, accuracy in reached.items():
        number = journal.ask(sampler_of(study, 0)).number
        journal.describe(number, [f"model.optimizer.lr={lr}"], 12345)
        metrics = {"val/left_acc": accuracy, "val/left_loss": 1.0, "val/acc_mean": accuracy}
        journal.add_epoch(number, EpochRow(1, metrics, accuracy, 1.0, 1e9))
        journal.end(number, "COMPLETE", value=accuracy)


def test_a_report_is_written_into_the_study_s_directory_or_another(storage, tmp_path, capfd):
    assert report.main([str(storage / "first"), "--to", str(tmp_path)]) == 0
    assert capfd.readouterr().out == f"report: {tmp_path}/index.html\n"
    told = (tmp_path / "report.md").read_text()
    assert (
        "The best of 2 complete trials is trial 1: 75.0 % of val/acc\\_mean, +25.0 points" in told
    )
    assert {"report.md", "index.html", "slices.png"} <= {file.name for file in tmp_path.iterdir()}


def test_a_report_of_no_study_or_into_no_directory_is_refused(storage, tmp_path, capfd):
    assert report.main([str(tmp_path / "none.yaml")]) == 2
    assert "is neither a study file nor a study's directory" in capfd.readouterr().err
    (tmp_path / "file").touch()
    assert report.main([str(storage / "first"), "--to", str(tmp_path / "file" / "x")]) == 2
    assert "write --to DIR that can be written" in capfd.readouterr().err


def test_studies_are_shown_a_line_each_with_how_to_go_on(storage, capfd):
    with (storage / "other" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert studies.main([str(storage)]) == 0
    told = capfd.readouterr().out
    lines = {line.split("│")[1].strip(): line for line in told.splitlines() if "│" in line}
    assert [word in lines["first"] for word in (" complete ", " 2 of 2 ", "left 75.0 %")] == [
        True
    ] * 3
    assert [word in lines["second"] for word in (" stopped ", " 2 of 3 ")] == [True] * 2
    assert " running " in lines["other"]
    assert "second: resume with: python -m mhray.sweep second.yaml\n" in told
    assert f"first: report with: python -m mhray.report {storage}/first\n" in told


def test_a_study_that_cannot_be_read_hides_no_other(storage, tmp_path, capfd):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.db").write_text("no database")
    (tmp_path / "first").symlink_to(storage / "first")
    assert studies.main([str(tmp_path)]) == 0
    told = capfd.readouterr().out
    assert "unreadable" in told
    assert "broken: journal: sqlite:///" in told
    assert "75.0 %" in told


@pytest.mark.parametrize(("name", "told"), [("", "no study is in it"), ("x", "no such directory")])
def test_a_storage_without_studies_is_refused(tmp_path, capfd, name, told):
    assert studies.main([str(tmp_path / name)]) == 2
    assert told in capfd.readouterr().err


def test_two_studies_are_compared_pair_by_pair(storage, capfd):
    assert compare.main([str(storage / "first"), str(storage / "second")]) == 0
    told = capfd.readouterr().out
    assert "+12.5 points" in told
    assert "second - first: mean difference over 2 pairs of trials" in told


def test_studies_of_other_data_are_not_compared(storage, capfd):
    assert compare.main([str(storage / "first"), str(storage / "other")]) == 2
    assert "error: first and other: their data differ (fingerprint: f00d and cafe)" in (
        capfd.readouterr().err
    )


def test_who_only_reads_leaves_the_journal_as_it_is(tmp_path, capfd):
    write(tmp_path / "s", {0.001: 0.5}, confirm={"top": 1})
    before = (tmp_path / "s" / "journal.db").read_bytes()
    one = str(tmp_path / "s")
    assert [report.main([one]), studies.main([str(tmp_path)]), compare.main([one, one])] == [0] * 3
    assert (tmp_path / "s" / "journal.db").read_bytes() == before
    assert "with fresh seeds are still to come" in (tmp_path / "s/report/report.md").read_text()
