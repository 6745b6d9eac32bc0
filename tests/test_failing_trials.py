"""Real faults in one real sweep: a user's network that raises, diverges, dies or sleeps."""

import os

import optuna
import pytest

NETWORK = """
import os, signal, time
from pathlib import Path
from mhray.models.cnn import SimpleCNN

class Faulty(SimpleCNN):
    def __init__(self, *, fault, marks, **options):
        super().__init__(**options)
        self.fault, self.marks, self.steps = fault, Path(marks), 0

    def forward(self, images):
        logits = super().forward(images)
        self.steps += self.training
        return self.meet(logits) if self.training and self.steps == 12 else logits

    def meet(self, logits):
        if self.fault == "raises":
            raise ValueError("a mistake of the user's")
        if self.fault == "diverges":
            return {name: value * float("nan") for name, value in logits.items()}
        if self.fault in {"dies", "sleeps"} and not (self.marks / self.fault).exists():
            (self.marks / self.fault).touch()
            os.kill(os.getpid(), signal.SIGKILL) if self.fault == "dies" else time.sleep(3600)
        return logits
"""
CONFIG = """
defaults:
  - cifar100mh_cnn
  - _self_
net: {_target_: faulty.Faulty, fault: none, marks: %s}
"""
STUDY = """
name: faults
base: {experiment: cifar100mh_cnn, model: faulty, data.data_dir: %s, data.batch_size: 60,
       trainer.max_epochs: 3}
search: {model.net.fault: {choice: [none, raises, diverges, dies, sleeps]}}
enqueue: [{model.net.fault: raises}, {model.net.fault: diverges}, {model.net.fault: dies},
          {model.net.fault: sleeps}]
sampler: {random: {seed: 0}}
budget: {trials: 5}
resources: {parallel_trials: 2, retries: 2, stall_minutes: 0.3}
"""


@pytest.fixture
def faulty_study(small_data, tmp_path):
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "faulty.yaml").write_text(CONFIG % tmp_path)
    (tmp_path / "faulty.py").write_text(NETWORK)
    (tmp_path / "study.yaml").write_text(STUDY % small_data)
    return ["study.yaml", "--config-dir", "own"]


def test_a_failure_is_one_trials_and_what_can_pass_is_tried_again(command, faulty_study, tmp_path):
    path = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    done = command("mhray.sweep", *faulty_study, PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    url = f"sqlite:///{tmp_path}/studies/faults/journal.db"
    trials = optuna.load_study(study_name="faults", storage=url).trials
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert [t.user_attrs["starts"] for t in trials[:4]] == [1, 1, 1, 2]
    assert trials[4].user_attrs["starts"] > 1
    rows = [[row["metrics"] for row in t.user_attrs["epochs"]] for t in trials]
    assert rows[0] == rows[3] == rows[4]
    assert "faulty.py:18 in meet" in done.stdout
    assert "not finite in epoch 2" in done.stdout
    assert "trial 4 failed and is tried again: stalled" in done.stdout
