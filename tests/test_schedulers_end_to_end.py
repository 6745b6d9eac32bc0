"""Every scheduler but ASHA, as a user runs it; ASHA is in the sweeps of test_sweep_command.py.

One study sees them all, one start after the other: a new process takes seconds to import torch.
"""

import json
import os
import shlex
import signal
import subprocess
import sys

import optuna
import pytest

from mhray.sweep import main
from mhray.training.origin import reproduce_line
from mhray.training.project import shipped_directory
from mhray.tuning.rungs import bracket_of
from mhray.tuning.storage import open_storage

STUDY = shipped_directory() / "configs" / "sweep_weights.yaml"
# Trial 0 has a rate of 1e-3; hardly another one learns anything before it takes over.
RATES = "search.model.optimizer.lr={log_uniform: [1e-9, 1e-3]}"
ONE_AT_A_TIME = "resources.per_worker.cpus=2"


@pytest.fixture(scope="module")
def study(small_data):
    """Arguments of a short sweep, all but its scheduler and its budget."""
    return [
        str(STUDY),
        f"base.data.data_dir={small_data}",
        "base.data.batch_size=60",
        "base.trainer.max_epochs=3",
        RATES,
        "sampler={random: {seed: 0}}",
        "mlflow.register_best_as=null",
        "confirm=null",
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An empty directory to work in."""
    directory = tmp_path_factory.mktemp("schedulers")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        yield directory


@pytest.fixture(scope="module")
def population(study, place):
    """Where a population of three was killed between its two decisions, and went on."""
    arguments = [*study, "scheduler={pbt: {every_epochs: 1, quantile: 0.34}}", "budget.trials=3"]
    kill_at("epoch 2", [*arguments, ONE_AT_A_TIME])
    assert main([*arguments, "--accept-changes"]) == 0
    return place


def kill_at(part, arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "mhray.sweep", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines = iter(process.stdout.readline, "")
    assert any(part in line for line in lines)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def study_in(directory):
    url = f"sqlite:///{directory}/studies/loss_weights/journal.db"
    return optuna.load_study(study_name="loss_weights", storage=open_storage(url))


def ends_in(directory):
    """The state of each trial and its epochs."""
    return [
        (trial.state.name, [row["epoch"] for row in trial.user_attrs["epochs"]])
        for trial in study_in(directory).trials
    ]


def test_a_killed_population_goes_on(population):
    assert ends_in(population)[:3] == [("COMPLETE", [1, 2, 3])] * 3
    epochs = [takeover["epoch"] for takeover in study_in(population).user_attrs["takeovers"]]
    assert epochs == [1, 2]


def test_what_a_population_made_is_replayed_from_its_line(population, typed, tmp_path):
    last = study_in(population).user_attrs["takeovers"][-1]
    line = reproduce_line(last["overrides"], 12345)
    code, _, error = typed(*shlex.split(line)[3:], "hydra.run.dir=replay")
    assert (code, error) == (0, "")
    made = population / "studies" / "loss_weights" / "checkpoints" / str(last["trial"])
    first, again = (
        json.loads((path / "result.json").read_text()) for path in (made, tmp_path / "replay")
    )
    assert again["metrics"] == first["metrics"]
    assert again["epoch"] == first["epoch"]


def test_median_and_hyperband_stop_trials_and_go_on_with_the_past_of_others(population, study):
    changed = [*study, "--accept-changes"]
    assert main([*changed, "scheduler={median: {min_trials: 1}}", "budget.trials=4"]) == 0
    assert ends_in(population)[3:] == [("PRUNED", [1])]
    one_by_one = "resources.parallel_trials=1"
    bracketed = ["scheduler={hyperband: {keep_one_in: 2}}", "budget.trials=6", one_by_one]
    assert main([*changed, *bracketed]) == 0
    # The bracket of trials 1 and 4 begins to stop at epoch 2, that of trials 0, 2 and 5 at epoch 1.
    assert [bracket_of(number, 3, 2) for number in range(6)] == [0, 1, 0, 2, 1, 0]
    assert ends_in(population)[4:] == [("PRUNED", [1, 2]), ("PRUNED", [1])]
