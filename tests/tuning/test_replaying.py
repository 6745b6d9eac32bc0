"""A trial that is trained again is what it was, to the last digit, or it is said what is not."""

from dataclasses import replace

import pytest

from mhray.data.batches import fingerprint
from mhray.replay import main
from mhray.training.origin import origin
from mhray.training.run import compose_run
from mhray.training.workers import run
from mhray.tuning.journal import Journal
from mhray.tuning.plan import check
from mhray.tuning.samplers import sampler_of
from mhray.tuning.study import dump_study
from mhray.tuning.study_file import read_study

STUDY = """name: s
base: {experiment: cifar100mh_cnn, data.data_dir: %s, data.batch_size: 60, trainer.max_epochs: 3}
search: {model.optimizer.lr: {log_uniform: [1e-4, 1e-2]}}
budget: {trials: 3}
storage: %s
"""
OVERRIDES = [
    "experiment=cifar100mh_cnn",
    "data.batch_size=60",
    "trainer.max_epochs=3",
    "trainer.limit_train_batches=2",
    "model.optimizer.lr=0.002",
]


@pytest.fixture
def journal(small_data, tmp_path):
    """A study of which no trial has run yet."""
    path = tmp_path / "study.yaml"
    path.write_text(STUDY % (small_data, tmp_path), encoding="utf-8")
    checked = check(read_study(path), None)
    checked.directory.mkdir(parents=True)
    opened = Journal.open(checked.study, checked.directory)
    opened.begin(dump_study(checked.study), {"fingerprint": fingerprint(small_data)}, origin())
    opened.sampler = sampler_of(checked.study, 0)
    return opened


@pytest.fixture
def trained(journal, small_data, tmp_path):
    """Trains a trial as a sweep does; the journal gets the rows of its epochs, changed or not."""

    def train(epochs=3, change=lambda row: row):
        number = journal.ask(journal.sampler).number
        overrides = [*OVERRIDES, f"data.data_dir={small_data}"]
        journal.describe(number, overrides, seed=7)
        rows = []
        config = compose_run([*overrides, "seed=7"])
        run(config, tmp_path / "first", report=rows.append, overrides=overrides)
        for row in rows[:epochs]:
            journal.add_epoch(number, change(row))
        state, value = ("COMPLETE", 0.5) if epochs == 3 else ("PRUNED", None)
        journal.end(number, state, value=value)
        return number

    return train


def test_a_trial_is_replayed_to_the_last_digit(trained, tmp_path, capfd):
    number = trained()
    capfd.readouterr()
    assert main([str(tmp_path / "s"), str(number)]) == 0
    assert capfd.readouterr().out.splitlines() == [
        *(f"epoch {epoch} of 3" for epoch in (1, 2, 3)),
        f"trial {number}: 3 epochs, every metric is equal",
    ]
    assert (tmp_path / "s" / "replays" / str(number) / "result.json").is_file()


def test_a_stopped_trial_is_replayed_as_far_as_it_came(trained, tmp_path, capfd):
    number = trained(epochs=2)
    assert main([str(tmp_path / "s"), str(number), "--to", str(tmp_path / "again")]) == 0
    assert f"trial {number}: 2 epochs, every metric is equal" in capfd.readouterr().out
    assert (tmp_path / "again" / "result.json").is_file()


def test_what_differs_is_said_with_what_else_is_not_as_it_was(
    trained, journal, tmp_path, capfd, monkeypatch
):
    def nudge(row):
        nudged = row.metrics["val/left_acc"] + (0.0 if row.epoch == 1 else 1e-9)
        return replace(row, metrics=row.metrics | {"val/left_acc": nudged})

    number = trained(change=nudge)
    monkeypatch.setattr("mhray.tuning.replaying.origin", lambda: origin() | {"torch": "9.9"})
    assert main([str(tmp_path / "s"), str(number)]) == 1
    *_, second, third, last = capfd.readouterr().out.splitlines()
    assert second.startswith("epoch 2: val/left_acc was 0.")
    assert third.startswith("epoch 3: val/left_acc was 0.")
    was = journal.origin["torch"]
    assert last == f"trial {number}: 2 values differ; torch was {was}, is 9.9"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["s", "4"], "TRIAL: the study has no trial 4; write one from 0 to 0"),
        (["s", "0"], "TRIAL: trial 0 has finished no epoch; write another one"),
        (["t", "0"], "is neither a study file nor a study's directory; did you mean"),
    ],
)
def test_a_trial_that_is_not_there_is_said(journal, tmp_path, capfd, words, message):
    journal.ask(journal.sampler)
    assert main([str(tmp_path / words[0]), words[1]]) == 2
    assert message in capfd.readouterr().err
