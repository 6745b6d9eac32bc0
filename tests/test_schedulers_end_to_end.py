"""Every scheduler but ASHA, as a user runs it; ASHA is in the sweeps of test_sweep_command.py."""

import json
import os
import signal
import subprocess
import sys

import optuna
import pytest

from mhray.sweep import main
from mhray.training.project import shipped_directory
from mhray.tuning.asha import bracket_of

STUDY = shipped_directory() / "configs" / "sweep_weights.yaml"
PBT = "scheduler={pbt: {every_epochs: 1, quantile: 0.34}}"


@pytest.fixture
def study(small_data):
    """Arguments of a short sweep, all but its scheduler."""
    return [
        str(STUDY),
        f"base.data.data_dir={small_data}",
        "base.data.batch_size=60",
        "sampler={random: {seed: 0}}",
        "mlflow.register_best_as=null",
    ]


@pytest.fixture
def sweep(tmp_path, monkeypatch, capfd):
    """The command in this process: gives its output; it must succeed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        out, error = capfd.readouterr()
        assert code == 0, out + error
        return out

    return run


def study_in(directory):
    url = f"sqlite:///{directory}/studies/loss_weights/journal.db"
    return optuna.load_study(study_name="loss_weights", storage=url)


def trials_in(directory):
    return study_in(directory).trials


def epochs_of(trial):
    return [row["epoch"] for row in trial.user_attrs["epochs"]]


def test_median_and_hyperband_stop_trials_and_one_goes_on_with_the_past_of_the_other(
    sweep, study, tmp_path
):
    # Trial 0 has a rate of 1e-3; hardly another one learns anything.
    rates = "search.model.optimizer.lr={log_uniform: [1e-9, 1e-3]}"
    shared = [*study, rates, "base.trainer.max_epochs=3", "resources.parallel_trials=1"]
    sweep(*shared, "scheduler={median: {grace_epochs: 1, min_trials: 1}}", "budget.trials=3")
    assert ends_in(tmp_path) == [("COMPLETE", 3), ("PRUNED", 1), ("PRUNED", 1)]
    sweep(*shared, "scheduler={hyperband: {keep_one_in: 2}}", "budget.trials=6")
    # Trial 5 is compared with trials 0 and 2 at epoch 1; in the other brackets nobody is, as yet.
    assert [bracket_of(number, 3, 2) for number in range(6)] == [0, 1, 0, 2, 1, 0]
    assert ends_in(tmp_path)[3:] == [("COMPLETE", 3), ("COMPLETE", 3), ("PRUNED", 1)]


def ends_in(directory):
    """The state of each trial and its last epoch."""
    return [(trial.state.name, epochs_of(trial)[-1]) for trial in trials_in(directory)]


def test_a_killed_population_goes_on_and_its_winner_is_replayed_from_its_line(
    sweep, study, typed, tmp_path
):
    arguments = [*study, "base.trainer.max_epochs=3", PBT, "budget.trials=3"]
    kill_at("epoch 2", arguments, tmp_path)
    sweep(*arguments)
    trials = trials_in(tmp_path)
    assert ends_in(tmp_path) == [("COMPLETE", 3)] * 3
    assert all(epochs_of(trial) == [1, 2, 3] for trial in trials)
    last = takeovers_in(tmp_path)[-1]
    code, _, error = typed(*last["overrides"], "hydra.run.dir=replay")
    assert (code, error) == (0, "")
    assert_is_replayed(last["trial"], tmp_path)


def takeovers_in(directory):
    return study_in(directory).user_attrs["takeovers"]


def assert_is_replayed(number, directory):
    own = directory / "studies" / "loss_weights" / "checkpoints" / str(number)
    first, again = (
        json.loads((path / "result.json").read_text()) for path in (own, directory / "replay")
    )
    assert again["metrics"] == first["metrics"]
    assert again["epoch"] == first["epoch"]


def kill_at(part, arguments, directory):
    process = subprocess.Popen(
        [sys.executable, "-m", "mhray.sweep", *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines = iter(process.stdout.readline, "")
    assert any(part in line for line in lines)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
