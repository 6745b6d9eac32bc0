"""How do the heads of real trials learn, epoch by epoch?

    python benchmarks/record_curves.py      # 20 trainings on one core, into curves/; ten minutes

Trials of a study as a sweep draws and trains them, each to its end in this process: what a sweep
with early stopping never sees. benchmarks/search_oracle.py takes the shape of its learning curves
from them, beside those that are made up.
"""

import argparse
import json
import tempfile
import warnings
from pathlib import Path

import torch

from mhray.models.tally import chance_metric
from mhray.training.origin import commit
from mhray.training.project import shipped_directory
from mhray.training.run import compose_run, train
from mhray.tuning.study_file import load_study
from mhray.tuning.trial_overrides import samples_of

HERE = Path(__file__).resolve().parent
BASE = {
    "experiment": "cifar100mh_cnn",
    "trainer.max_epochs": 18,
    "trainer.limit_train_batches": 24,
    "trainer.accelerator": "cpu",
}
HEADS = ("left", "right", "sum")
SEARCH = {
    "model.loss_weights": "{simplex: [left, right, sum], floor: 0.05}",
    "model.net.conv1_channels": "{integer: [8, 48]}",
    "model.net.fc_hidden": "{integer: [32, 192]}",
    "model.net.dropout": "{uniform: [0.0, 0.5]}",
    "model.optimizer.lr": "{log_uniform: [3e-4, 1e-2]}",
    "model.optimizer.weight_decay": "{log_uniform: [1e-4, 0.1]}",
}


def study_of():
    """The study whose trials are trained."""
    root = shipped_directory()
    base = ", ".join(f"{path}: {value}" for path, value in BASE.items())
    search = ", ".join(f"{path}: {space}" for path, space in SEARCH.items())
    overrides = [f"base={{{base}}}", f"search={{{search}}}", "scheduler=null"]
    return load_study(root / "configs" / "sweep_weights.yaml", overrides, root).study


def rows_of(overrides):
    """What one trial logs of its epochs."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        train(compose_run(overrides), Path(folder), report=rows.append, overrides=overrides)
    return [row.metrics for row in rows]


def accuracies(rows):
    """Of each head its accuracy after each epoch."""
    return {head: [round(row[f"val/{head}_acc"], 5) for row in rows] for head in HEADS}


def chances(rows):
    """Of each head the accuracy that may be luck."""
    return {head: round(rows[0][chance_metric("val", head)], 5) for head in HEADS}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--file", type=Path, default=HERE / "curves" / "multimnist_cnn.json")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    trials = []
    for overrides in samples_of(study_of(), options.trials):
        rows = rows_of(overrides)
        trials.append({"overrides": overrides, "heads": accuracies(rows)})
        lines = ",\n".join(f"  {json.dumps(trial)}" for trial in trials)
        about = f'"commit": "{commit()}", "chance": {json.dumps(chances(rows))}'
        text = f'{{{about}, "trials": [\n{lines}\n]}}\n'
        options.file.write_text(text, encoding="utf-8")
        print(len(trials), rows[-1]["val/acc_mean"], flush=True)


if __name__ == "__main__":
    main()
