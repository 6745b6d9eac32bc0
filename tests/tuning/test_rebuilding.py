"""MLflow made anew from the journal alone is what the sweep had told it, and stays so."""

import io
import re
from dataclasses import replace

import pytest
import torch
from mlflow import MlflowClient

from mhray.errors import NoAnswerError, StorageError
from mhray.training.epoch_row import EpochRow
from mhray.training.tracking import open_tracking
from mhray.tuning.console import console_on
from mhray.tuning.journal import Journal
from mhray.tuning.plan import check
from mhray.tuning.rebuilding import Rebuilding
from mhray.tuning.recording import open_recorder
from mhray.tuning.samplers import sampler_of
from mhray.tuning.study import dump_study
from mhray.tuning.study_file import read_study
from mhray.tuning.trial_overrides import overrides_of

STUDY = """name: %s
base: {experiment: cifar100mh_cnn, data.data_dir: %s, trainer.max_epochs: 2}
search: {model.optimizer.lr: {log_uniform: [1e-4, 1e-2]}}
budget: {trials: 3}
mlflow: {tracking_uri: "%s"}
"""
CHECKPOINT = {"state_dict": {}, "optimizer_states": [], "epoch": 2, "mhray": {}}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    open_tracking(uri, "first", tmp_path_factory.mktemp("artifacts"))
    return uri


@pytest.fixture
def checked(store, small_data, tmp_path, monkeypatch, request):
    """A checked study of three trials, in an experiment of the test's own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(STUDY % (request.node.name, small_data, store), encoding="utf-8")
    found = check(read_study(path), None)
    found.directory.mkdir(parents=True)
    return found


@pytest.fixture
def journal(checked):
    """A journal that holds a complete trial, a stopped one, a failed one, and one that stands."""
    opened = Journal.open(checked.study, checked.directory)
    data = {"fingerprint": "f00d" * 16, "seed": 1, "val_fraction": 0.1}
    opened.begin(dump_study(checked.study), data, {"commit": "f00d"})
    torch.save(CHECKPOINT, checked.directory / "best.ckpt")
    for state, epochs in (("COMPLETE", 2), ("PRUNED", 1), ("FAIL", 0), ("RUNNING", 1)):
        run(opened, checked, state, epochs)
    opened.set_test(0, {"test/acc_mean": 0.25})
    return opened


def run(journal, checked, state, epochs):
    trial = journal.ask(sampler_of(checked.study, 0))
    journal.describe(trial.number, overrides_of(checked.study, trial), 12345)
    journal.count_start(trial.number)
    for epoch in range(1, epochs + 1):
        row = EpochRow(epoch, {"val/acc_mean": epoch / 4}, epoch / 4, 2.0, 1000.0 + epoch)
        journal.add_epoch(trial.number, row)
    if state != "RUNNING":
        value = 0.5 if state == "COMPLETE" else None
        failure = "why" * (state == "FAIL")
        path = str(checked.directory / "best.ckpt") if epochs else ""
        journal.end(trial.number, state, value=value, checkpoint=path, failure=failure)


def tell_live(checked, journal):
    """Tells MLflow everything as a sweep does, but for the end of the study."""
    mlflow = open_recorder(
        checked.study, journal.key, checked.directory, checked.text, journal.origin, None
    )
    for record in journal.trials():
        mlflow.trial_started(record)
        if record.state != "RUNNING":
            mlflow.trial_ended(record)
    mlflow.recorder.trial_tested(0, journal.trial(0).test, journal.trial(0).ended)
    assert mlflow.close() == 0


def rebuild(checked, journal):
    out = io.StringIO()
    Rebuilding(checked, journal, console_on(out)).rebuild()
    assert out.getvalue() == "MLflow agrees with the journal: 4 trials\n"


def runs(checked, *, of_trials=True):
    client = MlflowClient(checked.study.mlflow.tracking_uri)
    experiment = client.get_experiment_by_name(checked.study.name)
    found = client.search_runs([experiment.experiment_id])
    return {
        run.info.run_name: run for run in found if "mhray.trial" in run.data.tags or not of_trials
    }


def story(checked):
    """All that MLflow holds of the trials, without what MLflow itself adds."""
    client = MlflowClient(checked.study.mlflow.tracking_uri)
    found = {}
    for name, run in runs(checked).items():
        tags = {key: value for key, value in run.data.tags.items() if key.startswith("mhray.")}
        points = {
            metric: [(p.step, p.timestamp, p.value) for p in history]
            for metric in run.data.metrics
            for history in [client.get_metric_history(run.info.run_id, metric)]
        }
        info = (run.info.status, run.info.start_time, run.info.end_time)
        found[name] = (info, run.data.params, tags, points)
    return found


def test_a_lost_store_gets_again_what_the_sweep_had_told_it(checked, journal):
    tell_live(checked, journal)
    told = story(checked)
    assert told["trial 3"][0][0] == "RUNNING"
    for run in runs(checked, of_trials=False).values():
        MlflowClient(checked.study.mlflow.tracking_uri).delete_run(run.info.run_id)
    rebuild(checked, journal)
    made = story(checked)
    assert [made.pop("trial 3")[0][0], told.pop("trial 3")[0][0]] == ["KILLED", "RUNNING"]
    assert made == told


def test_runs_that_agree_are_left_and_none_is_there_twice(checked, journal):
    tell_live(checked, journal)
    rebuild(checked, journal)
    before = story(checked), {run.info.run_id for run in runs(checked, of_trials=False).values()}
    (checked.directory / "mlflow.jsonl").unlink()
    rebuild(checked, journal)
    after = story(checked), {run.info.run_id for run in runs(checked, of_trials=False).values()}
    assert before == after
    assert len(after[1]) == 5


def test_after_it_the_study_s_run_has_its_result_and_its_artifacts(checked, journal):
    rebuild(checked, journal)
    study = runs(checked, of_trials=False)[checked.study.name]
    client = MlflowClient(checked.study.mlflow.tracking_uri)
    names = {artifact.path for artifact in client.list_artifacts(study.info.run_id)}
    assert names == {"study.yaml", "trials.csv", "front.json", "best", "report"}
    assert (study.info.status, study.data.metrics["best/val/acc_mean"]) == ("FINISHED", 0.5)
    assert study.data.tags["mhray.commit"] == "f00d"
    assert [read.dataset.digest for read in study.inputs.dataset_inputs] == ["f00df00df00d"]
    assert study.data.metrics["trials/stopped"] == study.data.metrics["trials/failed"] == 1
    assert "\n## Answer\n" in study.data.tags["mlflow.note.content"]


def test_a_run_that_cannot_be_mended_is_named_and_the_outbox_kept(checked, journal):
    tell_live(checked, journal)
    outbox = (checked.directory / "mlflow.jsonl").read_text()
    client = MlflowClient(checked.study.mlflow.tracking_uri)
    client.set_tag(runs(checked)["trial 1"].info.run_id, "mhray.key", "lost")
    client.log_param(runs(checked)["trial 2"].info.run_id, "mine", "1")
    twin = runs(checked)["trial 0"]
    client.create_run(twin.info.experiment_id, tags=twin.data.tags)
    with pytest.raises(StorageError) as refused:
        Rebuilding(checked, journal, console_on(io.StringIO())).rebuild()
    assert str(refused.value) == (
        "mlflow: what it holds cannot be changed to what the journal holds:\n"
        "  trial 0: has 2 runs\n"
        "delete these runs there, and run the same command again"
    )
    assert (checked.directory / "mlflow.jsonl").read_text() == outbox


def test_a_study_starts_without_an_answer_of_mlflow_and_is_not_rebuilt_without_one(
    checked, journal
):
    mlflow = checked.study.mlflow.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    away = replace(checked, study=checked.study.model_copy(update={"mlflow": mlflow}))
    observer = open_recorder(away.study, journal.key, checked.directory, "", {}, None)
    assert observer.silence.startswith("mlflow.tracking_uri: http://127.0.0.1:9 cannot be opened (")
    assert observer.recorder.close(0.1) == 1
    with pytest.raises(NoAnswerError, match=f"^{re.escape(observer.silence)}$"):
        Rebuilding(away, journal, console_on(io.StringIO())).rebuild()
