"""Real faults in real sweeps: a network that raises, diverges, dies, sleeps or lacks memory."""

import os
import re

import optuna
import pytest

from mhray.tuning.storage import open_storage

NETWORK = """
import os, signal, time
from pathlib import Path
import torch
from mhray.models.cnn import SimpleCNN

class Faulty(SimpleCNN):
    def __init__(self, *, fault, marks, **options):
        super().__init__(**options)
        self.fault, self.mark, self.steps = fault, Path(marks) / fault, 0

    def forward(self, images):
        logits = super().forward(images)
        self.steps += self.training
        return self.meet(logits) if self.training and self.steps == 12 else logits

    def meet(self, logits):
        if self.fault == "raises":
            raise ValueError("a mistake of the user's")
        if self.fault == "diverges":
            return {name: value * float("nan") for name, value in logits.items()}
        if not self.mark.exists():
            self.mark.touch()
            self.pass_by()
        return logits

    def pass_by(self):
        if self.fault == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "sleeps":
            time.sleep(3600)
        if self.fault == "hogs":
            torch.empty(10**15)
"""
CONFIG = """
defaults:
  - cifar100mh_cnn
  - _self_
net: {_target_: faulty.Faulty, fault: none, marks: %s}
"""
# With many retries, and few told of, a slow machine's stalls are only further ones.
STUDY = """
name: faults
base: {experiment: cifar100mh_cnn, model: faulty, data.data_dir: %s, data.batch_size: 60,
       trainer.max_epochs: 3}
search: {model.net.fault: {choice: [none, sleeps, raises, diverges, dies, hogs]}}
enqueue: [{model.net.fault: sleeps}, {model.net.fault: raises}, {model.net.fault: diverges},
          {model.net.fault: dies}, {model.net.fault: hogs}]
sampler: {random: {seed: 0}}
budget: {trials: 6}
resources: {parallel_trials: 2, retries: 20, stall_minutes: 0.5}
"""
RETRY = re.compile(r"trial (\d+) failed and is tried again: (\w+)")


@pytest.fixture
def failing(command, small_data, tmp_path):
    """Runs the study with further overrides; gives the finished process and the study's trials."""
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "faulty.yaml").write_text(CONFIG % tmp_path)
    (tmp_path / "faulty.py").write_text(NETWORK)
    (tmp_path / "study.yaml").write_text(STUDY % small_data)
    path = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])

    def run(*overrides):
        words = ["study.yaml", "--config-dir", "own", *overrides]
        done = command("mhray.sweep", *words, PYTHONPATH=path)
        url = f"sqlite:///{tmp_path}/studies/faults/journal.db"
        return done, optuna.load_study(study_name="faults", storage=open_storage(url)).trials

    return run


def test_a_failure_is_one_trials_and_what_can_pass_is_tried_again(failing):
    done, trials = failing()
    assert done.returncode == 0, done.stdout + done.stderr
    ends = ["COMPLETE", "COMPLETE", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert [trial.state.name for trial in trials] == ends
    assert "not finite in epoch 2" in trials[3].user_attrs["failure"]
    rows = [[row["metrics"] for row in trial.user_attrs["epochs"]] for trial in trials]
    assert rows[0] == rows[1] == rows[4] == rows[5]
    retries = set(RETRY.findall(done.stdout))
    assert ("1", "stalled") in retries
    assert {each for each in retries if each[1] != "stalled"} == {
        ("4", "its"),
        ("5", "RuntimeError"),
    }
    assert "faulty.py:19 in meet" in done.stdout
    assert "not finite in epoch 2" in done.stdout
    assert "failed: trial 2, 3;" in done.stdout


def test_a_study_of_failing_trials_ends_after_five(failing):
    rates = "search={model.optimizer.lr: {log_uniform: [1e-4, 1e-2]}}"
    many = ["budget.trials=200", "enqueue=null", "resources.parallel_trials=1"]
    done, trials = failing("base.model.net.fault=raises", rates, *many)
    assert done.returncode == 4, done.stdout + done.stderr
    assert [trial.state.name for trial in trials if trial.state.is_finished()] == ["FAIL"] * 5
    assert len(trials) <= 6
    assert "stopped: budget.trials: the first 5 trials of this start failed" in done.stdout
    assert done.stdout.count("faulty.py:19 in meet") == 1
