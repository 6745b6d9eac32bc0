"""The main job as a user runs it: real Ray, Optuna, MLflow and SQLite."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pytest
from platformdirs import user_cache_path

from mhray.sweep import main, parser
from mhray.training.project import shipped_directory
from mhray.tuning.storage import open_storage

TRIALS = ["trial 0", "trial 1", "trial 2"]
ONE_AT_A_TIME = "resources.parallel_trials=1"
CONFIRM = "confirm={top: 1, seeds: 2, max_seeds: 2}"
STUDY = shipped_directory() / "configs" / "sweep_weights.yaml"


@pytest.fixture
def short_study(small_data, tmp_path):
    """Arguments of a sweep of three trials that takes a few seconds once Ray has started."""
    return [
        STUDY,
        f"base.data.data_dir={small_data}",
        "base.data.batch_size=60",
        "base.trainer.max_epochs=3",
        "scheduler.asha.grace_epochs=1",
        "sampler.tpe.startup_trials=2",
        "budget.trials=3",
        "storage=studies",
        "mlflow.tracking_uri=sqlite:///mlflow.db",
        "confirm=null",
    ]


@pytest.fixture
def sweep(tmp_path, monkeypatch, capfd):
    """The command in this process: gives its exit code, its output and its errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return run


def study_in(directory, name="loss_weights"):
    url = f"sqlite:///{directory}/studies/loss_weights/journal.db"
    return optuna.load_study(study_name=name, storage=open_storage(url))


def trials_in(directory):
    return study_in(directory).trials


def start(arguments, directory):
    return subprocess.Popen(
        [sys.executable, "-m", "mhray.sweep", *map(str, arguments)],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_line(process, part):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if part in line:
            return lines
    raise AssertionError(f"no line with {part!r} in:\n{''.join(lines)}")


def test_a_sweep_runs_to_its_end_and_says_what_it_found(command, sweep, short_study, tmp_path):
    done = command("mhray.sweep", *short_study)
    assert (done.returncode, done.stderr) == (0, "")
    assert_is_a_whole_transcript(done.stdout)
    assert_journal_is_complete(trials_in(tmp_path))
    assert study_in(tmp_path).user_attrs["test:0"]["test/left_acc"] >= 0
    assert_mlflow_tells_the_same(tmp_path)
    assert_champion_predicts_every_head(f"sqlite:///{tmp_path}/mlflow.db")
    assert not (tmp_path / "studies" / "loss_weights" / "ray").exists()
    code, out, _ = sweep(*short_study)
    assert code == 0
    assert "all 3 trials have ended; this is their result" in out
    assert "SimpleCNN" in (user_cache_path("mhray") / "speeds.jsonl").read_text()
    assert out.splitlines()[-1] == done.stdout.splitlines()[-1]
    assert len(trials_in(tmp_path)) == 3
    assert_another_mlflow_is_rebuilt(sweep, short_study, tmp_path)


def assert_another_mlflow_is_rebuilt(sweep, study, directory):
    uri = f"sqlite:///{directory}/another.db"
    code, out, error = sweep(*study, f"mlflow.tracking_uri={uri}", "--rebuild-mlflow")
    assert (code, error) == (0, "")
    assert out.splitlines()[-1] == "MLflow agrees with the journal: 3 trials"
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("loss_weights")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["loss_weights", *TRIALS]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert_champion_predicts_every_head(uri)
    assert_the_same_is_shown(mlflow.MlflowClient(f"sqlite:///{directory}/mlflow.db"), client)


def assert_the_same_is_shown(client, rebuilt):
    """The note and the front of the study's run, and the card of its model, are of both stores."""
    found = []
    for one in (client, rebuilt):
        experiment = one.get_experiment_by_name("loss_weights")
        (run,) = one.search_runs([experiment.experiment_id], "tags.mhray.study = 'loss_weights'")
        front = json.loads(Path(one.download_artifacts(run.info.run_id, "front.json")).read_text())
        card = one.get_registered_model("cifar100mh").description
        found.append((run.data.tags["mlflow.note.content"], run.data.metrics, front, card))
    note, metrics, front, card = found[0]
    assert found[1] == found[0]
    assert metrics["trials/complete"] >= 1
    assert "How should the heads" in note
    assert front["columns"][:2] == ["trial", "val/acc_mean"]
    assert len(front["data"][0]) == len(front["columns"])
    assert card.startswith("Version 1, the champion:\n\nTrial ")
    assert "| sum | 19 | 0 to 18 |" in card


def assert_is_a_whole_transcript(text):
    lines = text.splitlines()
    assert lines[0].startswith("study loss_weights: 3 trials, ")
    assert "heads: left (10 classes), right (10 classes), sum (19 classes)" in lines
    assert any("trial 0 epoch 1: left " in line for line in lines)
    assert sum(line.startswith(("quote: ", "disk: up to ")) for line in lines) == 2
    assert any("(equal weights)" in line for line in lines)
    told = [line for line in lines if line.startswith("report: ")]
    assert [Path(line).parts[-3:] for line in told] == [("loss_weights", "report", "index.html")]
    assert lines[-1].startswith("python -m mhray.train experiment=cifar100mh_cnn ")
    assert "seed=12345" in lines[-1]


def assert_journal_is_complete(trials):
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
    baseline = trials[0]
    assert baseline.state.name == "COMPLETE"
    assert "model.loss_weights.left=1.0" in baseline.user_attrs["overrides"]
    for trial in trials:
        reached = trial.user_attrs["epochs"][-1]["epoch"]
        assert (reached == 3) == (trial.state.name == "COMPLETE")
        assert trial.user_attrs["seed"] == 12345
        assert trial.user_attrs["starts"] == 1
        assert Path(trial.user_attrs["checkpoint"]).is_file()
        assert trial.user_attrs["mlflow_run_id"]


def assert_mlflow_tells_the_same(directory):
    client = mlflow.MlflowClient(f"sqlite:///{directory}/mlflow.db")
    experiment = client.get_experiment_by_name("loss_weights")
    assert experiment.artifact_location.startswith(str(directory / "studies"))
    found = client.search_runs([experiment.experiment_id])
    runs = [run for run in found if "mhray.confirm" not in run.data.tags]
    parent = next(run for run in runs if "mhray.trial" not in run.data.tags)
    children = [
        run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]
    assert len(children) == 3
    names = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert {"study.yaml", "trials.csv", "best", "report"} <= names
    pages = {artifact.path for artifact in client.list_artifacts(parent.info.run_id, "report")}
    assert {"report/index.html", "report/report.md", "report/curves.png"} <= pages
    for child in children:
        trial = trials_in(directory)[int(child.data.tags["mhray.trial"])]
        assert child.info.run_id == trial.user_attrs["mlflow_run_id"]
        assert child.data.tags["mhray.rung"] == str(max(trial.intermediate_values))
        history = client.get_metric_history(child.info.run_id, "val/acc_mean")
        assert [point.step for point in history] == sorted(trial.intermediate_values)
        assert {"best/val/sum_mae", "best/val/sum_balanced_acc"} <= set(child.data.metrics)


def assert_champion_predicts_every_head(uri):
    mlflow.set_tracking_uri(uri)
    model = mlflow.pyfunc.load_model("models:/cifar100mh@champion")
    table = model.predict(np.zeros((5, 32, 32, 3), np.uint8))
    answers = ["left", "left_name", "left_probability"]
    assert list(table.columns) == [
        name.replace("left", head) for head in ("left", "right", "sum") for name in answers
    ]
    assert len(table) == 5


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_resumes(command, short_study, tmp_path):
    longer = [*short_study, "base.trainer.max_epochs=12", "scheduler=null"]
    process = start(longer, tmp_path)
    wait_for_line(process, "epoch 3")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate()
    assert process.returncode == 3, rest
    assert "resume with: python -m mhray.sweep" in rest
    # Of two trials that started together one may not have reached an epoch's end yet.
    before = [trial.user_attrs for trial in trials_in(tmp_path)]
    done = command("mhray.sweep", *longer, f"budget.trials={len(before)}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "started, again from epoch" in done.stdout
    assert_trials_went_on(trials_in(tmp_path), before)


def assert_trials_went_on(trials, before):
    assert len(trials) == len(before)
    assert any("epochs" in attributes for attributes in before)
    for trial, attributes in zip(trials, before, strict=True):
        epochs, kept = trial.user_attrs["epochs"], attributes.get("epochs", [])
        assert [row["epoch"] for row in epochs] == list(range(1, 13))
        assert epochs[: len(kept)] == kept
        assert trial.user_attrs["starts"] == attributes.get("starts", 0) + 1


def killed(arguments, directory, part):
    """A sweep that was killed when it said this."""
    process = start(arguments, directory)
    wait_for_line(process, part)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_killed_driver_loses_no_finished_trial_and_no_confirmation(
    command, short_study, tmp_path
):
    study = [*short_study, ONE_AT_A_TIME, CONFIRM]
    killed(study, tmp_path, "trial 1 epoch 1")
    finished, running = trials_in(tmp_path)
    killed(study, tmp_path, "confirmation 1 epoch 1")
    first, second, third = trials_in(tmp_path)
    assert first == finished
    assert (second.params, third.number) == (running.params, 2)
    confirmed, *_ = study_in(tmp_path, "loss_weights/confirm").trials
    done = command("mhray.sweep", *study)
    assert done.returncode == 0, done.stdout + done.stderr
    assert trials_in(tmp_path) == [first, second, third]
    assert_mlflow_tells_the_same(tmp_path)
    assert_all_was_confirmed_once(tmp_path, confirmed)
    assert "fresh seeds" in done.stdout


def assert_all_was_confirmed_once(directory, first):
    study = study_in(directory, "loss_weights/confirm")
    assert study.trials[0] == first
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    runs = [(t.user_attrs["candidate"], t.user_attrs["seed"]) for t in study.trials]
    candidates = {candidate for candidate, _ in runs}
    assert sorted(runs) == [(name, seed) for name in sorted(candidates) for seed in (12346, 12347)]
    assert "trial 0" in candidates
    tested = [name for name in study.user_attrs if name.startswith("test:")]
    assert 1 <= len(tested) <= 2
    assert not any(name.startswith("test:") for name in study_in(directory).user_attrs)
    client = mlflow.MlflowClient(f"sqlite:///{directory}/mlflow.db")
    experiment = client.get_experiment_by_name("loss_weights")
    tags = [run.data.tags for run in client.search_runs([experiment.experiment_id])]
    told = [
        (each["mhray.candidate"], int(each["mhray.seed"]))
        for each in tags
        if "mhray.confirm" in each
    ]
    assert sorted(told) == sorted(runs)


def test_a_sweep_has_its_study_to_itself_and_ends_at_a_sigterm(sweep, short_study, tmp_path):
    process = start([*short_study, "base.trainer.max_epochs=400", ONE_AT_A_TIME], tmp_path)
    wait_for_line(process, "epoch 1")
    code, _, error = sweep(*short_study)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert (code, process.returncode) == (2, 3)
    assert f"another sweep runs this study (process {process.pid} on " in error


def test_a_trial_with_two_workers_is_a_worker_group(command, short_study, tmp_path):
    group = ["resources.workers_per_trial=2", "budget.trials=1", "mlflow.register_best_as=null"]
    done = command("mhray.sweep", *short_study, *group)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 at a time" in done.stdout
    assert "workers=2" in trials_in(tmp_path)[0].user_attrs["overrides"]
    result = tmp_path / "studies" / "loss_weights" / "checkpoints" / "0" / "result.json"
    assert json.loads(result.read_text())["samples_per_rank"] == [270, 270]


def test_hours_end_a_study_and_no_other_takes_its_name(command, sweep, short_study, tmp_path):
    spent = [*short_study, "budget.hours=0.001", ONE_AT_A_TIME]
    done = command("mhray.sweep", *spent)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "no trial is complete" in done.stdout
    code, out, _ = sweep(*spent)
    assert code == 4
    assert "budget.hours is used up after 0 trials" in out
    assert sweep(*short_study, "budget.trials=1", ONE_AT_A_TIME)[0] == 0
    assert [trial.state.name for trial in trials_in(tmp_path)] == ["COMPLETE"]
    code, _, error = sweep(*spent, "base.trainer.max_epochs=2")
    assert code == 2
    assert "the journal holds another study named loss_weights:\n" in error
    assert "base.trainer.max_epochs: 3 -> 2 (other value)" in error


@pytest.mark.parametrize(("flag", "quoted"), [("--check", "quote: "), ("--quote", "timed now")])
def test_check_shows_the_plan_and_starts_nothing(sweep, short_study, tmp_path, flag, quoted):
    code, out, error = sweep(*short_study, flag)
    assert (code, error) == (0, "")
    assert quoted in out
    assert out.count("python -m mhray.train experiment=cifar100mh_cnn") == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("budget.trails=3", "did you mean trials?"),
        ("select={maximize: val/lft_acc}", "did you mean val/left_acc?"),
        ("base.model.loss_weights.lft=1.0", "did you mean left?"),
        ("base.trainer.max_epoch=1", "max_epoch"),
        ("base.data.data_dir=nowhere", "there is no directory nowhere"),
        ("storage=/dev/null/studies", "/dev/null/studies/loss_weights: cannot be written"),
        ("mlflow.tracking_uri=sqlite:////dev/null/mlflow.db", "mlflow.tracking_uri: sqlite"),
        ("mlflow.tracking_uri=http://no.invalid:9", "mlflow.tracking_uri: http://no.invalid:9"),
        ("journal=sqlite:////dev/null/journal.db", "journal: sqlite:////dev/null/journal.db"),
        ("resources.per_worker.cpus=1000", "1000"),
    ],
)
def test_a_mistake_ends_with_one_message_and_exit_code_2(sweep, short_study, mistake, message):
    extra = ["base.data.source=null"] if "nowhere" in mistake else []
    code, out, error = sweep(*short_study, mistake, *extra)
    assert code == 2, out + error
    assert message in error
    assert error.startswith("error: ")
    assert "Traceback" not in out + error


def test_no_ray_at_the_address_is_said(sweep, short_study, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    code, _, error = sweep(*short_study)
    assert code == 2
    assert "RAY_ADDRESS=127.0.0.1:9: no Ray can be reached" in error


def test_a_corrupt_batch_is_named(sweep, short_study, small_data, tmp_path):
    broken = shutil.copytree(small_data, tmp_path / "broken")
    (broken / "train_batch").write_bytes(b"rubbish")
    code, _, error = sweep(*short_study, f"base.data.data_dir={broken}")
    assert code == 2
    assert str(broken / "train_batch") in error


def test_a_study_that_does_not_exist_is_named(sweep):
    message = "error: there is no file nowhere.yaml; write the path of a YAML file\n"
    assert sweep("nowhere.yaml") == (2, "", message)


def test_help_names_every_flag_and_shows_examples():
    text = parser().format_help()
    assert text.count("  python -m mhray.sweep configs/") >= 3
    starts = ("--extend N", "--accept-changes", "--fresh", "--rebuild-mlflow")
    flags = ("--check", "--quote", "--config-dir", "--version", "FILE", *starts)
    assert all(flag in text for flag in flags)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--extend", "0"], "argument --extend: should be a whole number from 1, not 0"),
        (["--extend", "3", "--fresh"], "argument --fresh: not allowed with argument --extend"),
        (["--fresh", "--rebuild-mlflow"], "not allowed with argument --fresh"),
    ],
)
def test_options_that_make_no_sense_are_refused(sweep, capfd, options, message):
    with pytest.raises(SystemExit) as ended:
        sweep("study.yaml", *options)
    assert ended.value.code == 2
    assert message in capfd.readouterr().err
