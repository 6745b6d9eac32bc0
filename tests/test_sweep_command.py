"""The main job as a user runs it: real Ray, Optuna, MLflow and SQLite."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pytest

from mhray.training.project import shipped_directory

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
    ]


def study_in(directory):
    url = f"sqlite:///{directory}/studies/loss_weights/journal.db"
    return optuna.load_study(study_name="loss_weights", storage=url)


def trials_in(directory):
    return study_in(directory).trials


def states_in(directory):
    return [trial.state.name for trial in trials_in(directory)]


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


def test_a_sweep_runs_to_its_end_and_says_what_it_found(command, short_study, tmp_path):
    done = command("mhray.sweep", *short_study)
    assert (done.returncode, done.stderr) == (0, "")
    assert_is_a_whole_transcript(done.stdout)
    assert_journal_is_complete(trials_in(tmp_path))
    assert study_in(tmp_path).user_attrs["test:0"]["test/left_acc"] >= 0
    assert_mlflow_tells_the_same(tmp_path)
    assert_champion_predicts_every_head(tmp_path)
    assert not (tmp_path / "studies" / "loss_weights" / "ray").exists()
    again = command("mhray.sweep", *short_study)
    assert again.returncode == 0
    assert "all 3 trials have ended; this is their result" in again.stdout
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    assert len(trials_in(tmp_path)) == 3


def assert_is_a_whole_transcript(text):
    lines = text.splitlines()
    assert lines[0].startswith("study loss_weights: 3 trials, ")
    assert "heads: left (10 classes), right (10 classes), sum (19 classes)" in lines
    assert any("trial 0 epoch 1: left " in line for line in lines)
    assert any("(equal weights)" in line for line in lines)
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
    runs = client.search_runs([experiment.experiment_id])
    parent = next(run for run in runs if "mhray.trial" not in run.data.tags)
    children = [
        run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]
    assert len(children) == 3
    names = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert {"study.yaml", "trials.csv", "best"} <= names
    for child in children:
        trial = trials_in(directory)[int(child.data.tags["mhray.trial"])]
        assert child.info.run_id == trial.user_attrs["mlflow_run_id"]
        history = client.get_metric_history(child.info.run_id, "val/acc_mean")
        assert [point.step for point in history] == sorted(trial.intermediate_values)


def assert_champion_predicts_every_head(directory):
    mlflow.set_tracking_uri(f"sqlite:///{directory}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/cifar100mh@champion")
    table = model.predict(np.zeros((5, 32, 32, 3), np.uint8))
    assert list(table.columns) == ["left", "right", "sum"]
    assert len(table) == 5


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_resumes(command, short_study, tmp_path):
    longer = [*short_study, "base.trainer.max_epochs=40", "scheduler=null", "budget.trials=4"]
    process = start(longer, tmp_path)
    wait_for_line(process, "epoch 3")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 3, rest
    assert "resume with: python -m mhray.sweep" in rest
    before = {trial.number: trial.user_attrs["epochs"] for trial in trials_in(tmp_path)}
    shorter = [argument for argument in longer if argument != "budget.trials=4"]
    done = command("mhray.sweep", *shorter, "budget.trials=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "started, again from epoch" in done.stdout
    for trial in trials_in(tmp_path)[:2]:
        assert trial.state.name == "COMPLETE"
        epochs = trial.user_attrs["epochs"]
        assert [row["epoch"] for row in epochs] == list(range(1, 41))
        assert epochs[: len(before[trial.number])] == before[trial.number]
        assert trial.user_attrs["starts"] == 2


def test_a_killed_driver_loses_no_finished_trial(command, short_study, tmp_path):
    process = start(short_study, tmp_path)
    wait_for_line(process, "trial 0 epoch 2")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {t.number: t.params for t in trials_in(tmp_path)}
    done = command("mhray.sweep", *short_study)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = trials_in(tmp_path)
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert all(trials[number].params == params for number, params in kept.items())
    assert_mlflow_tells_the_same(tmp_path)


def test_a_second_sweep_of_one_study_is_refused(command, short_study, tmp_path):
    process = start([*short_study, "base.trainer.max_epochs=40"], tmp_path)
    wait_for_line(process, "epoch 1")
    refused = command("mhray.sweep", *short_study)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert (refused.returncode, process.returncode) == (2, 3)
    assert f"another sweep runs this study (process {process.pid} on " in refused.stderr


def test_a_trial_that_diverges_is_one_failed_trial(command, short_study, tmp_path):
    wild = "search.model.optimizer.lr={choice: [1e30, 1e31]}"
    done = command("mhray.sweep", *short_study, wild, "budget.trials=2")
    assert done.returncode == 4
    assert states_in(tmp_path) == ["FAIL", "FAIL"]
    assert "no trial is complete" in done.stdout
    assert all("not finite in epoch 1" in t.user_attrs["failure"] for t in trials_in(tmp_path))
    assert [t.user_attrs["starts"] for t in trials_in(tmp_path)] == [1, 1]


def test_a_trial_with_two_workers_is_a_worker_group(command, short_study, tmp_path):
    done = command(
        "mhray.sweep",
        *short_study,
        "resources.workers_per_trial=2",
        "base.trainer.max_epochs=2",
        "budget.trials=2",
        "mlflow.register_best_as=null",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 at a time" in done.stdout
    assert "workers=2" in trials_in(tmp_path)[0].user_attrs["overrides"]
    result = tmp_path / "studies" / "loss_weights" / "checkpoints" / "0" / "result.json"
    assert json.loads(result.read_text())["samples_per_rank"] == [270, 270]


def test_hours_end_a_sweep_that_can_be_resumed(command, short_study, tmp_path):
    done = command("mhray.sweep", *short_study, "base.trainer.max_epochs=400", "budget.hours=0.005")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "resume with: python -m mhray.sweep" in done.stdout


def test_check_shows_the_plan_and_starts_nothing(command, short_study, tmp_path):
    done = command("mhray.sweep", *short_study, "--check")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("python -m mhray.train experiment=cifar100mh_cnn") == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("budget.trails=3", "did you mean trials?"),
        ("select={maximize: val/lft_acc}", "did you mean val/left_acc?"),
        ("base.model.loss_weights.lft=1.0", "did you mean left?"),
        ("base.trainer.max_epoch=1", "max_epoch"),
        ("base.data.data_dir=nowhere", "nowhere"),
        ("storage=/dev/null/studies", "cannot be written"),
        ("mlflow.tracking_uri=sqlite:////dev/null/mlflow.db", "mlflow.tracking_uri"),
        ("mlflow.tracking_uri=http://127.0.0.1:9", "mlflow.tracking_uri"),
        ("journal=sqlite:////dev/null/journal.db", "journal"),
        ("resources.per_worker.cpus=1000", "1000"),
    ],
)
def test_a_mistake_ends_with_one_message_and_exit_code_2(command, short_study, mistake, message):
    extra = ["base.data.source=null"] if "nowhere" in mistake else []
    done = command("mhray.sweep", *short_study, mistake, *extra)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_no_ray_at_the_address_is_said(command, short_study):
    done = command("mhray.sweep", *short_study, RAY_ADDRESS="127.0.0.1:9")
    assert done.returncode == 2
    assert "RAY_ADDRESS=127.0.0.1:9: no Ray can be reached" in done.stderr


def test_a_corrupt_batch_is_named(command, short_study, small_data, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in small_data.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "train_batch").write_bytes(b"rubbish")
    done = command("mhray.sweep", *short_study, f"base.data.data_dir={broken}")
    assert done.returncode == 2
    assert "train_batch" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_study_under_the_same_name_is_refused(command, short_study, tmp_path):
    stop = [*short_study, "budget.hours=0.001"]
    assert command("mhray.sweep", *stop).returncode == 3
    done = command("mhray.sweep", *stop, "base.trainer.max_epochs=2")
    assert done.returncode == 2
    assert "the journal holds another study named loss_weights: base was" in done.stderr


def test_help_names_every_flag_and_shows_three_examples(command):
    done = command("mhray.sweep", "--help")
    assert done.returncode == 0
    assert done.stdout.count("  python -m mhray.sweep configs/") >= 3
    assert all(flag in done.stdout for flag in ("--check", "--config-dir", "--version", "FILE"))
