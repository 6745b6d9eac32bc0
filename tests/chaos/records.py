"""What Optuna's storage and MLflow say of a sweep, read through their own public interfaces."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import optuna
from optuna.storages import RDBStorage

# Wall time and what comes of it: equal runs differ in it.
CLOCKS = ("epoch_seconds", "train/images_per_second", "duration_seconds")


@dataclass(frozen=True)
class Told:
    """A trial, as the study's storage has it."""

    number: int
    state: str
    value: float | None
    overrides: tuple[str, ...]
    seed: int
    params: str
    best_by_epoch: tuple[tuple[int, float], ...]

    @property
    def has_ended(self) -> bool:
        """Whether it is finished for good."""
        return self.state in {"COMPLETE", "PRUNED", "FAIL"}


@dataclass(frozen=True)
class Recorded:
    """A run of MLflow's that belongs to a trial.

    Attributes:
        epochs: by metric, its value at each epoch; each point once.
        doubled: the metrics with an epoch that has two values.
    """

    number: int
    status: str
    epochs: dict[str, tuple[tuple[int, float], ...]]
    doubled: tuple[str, ...] = ()


def journal_in(directory: Path) -> list[Told]:
    """All trials of the study, by number."""
    path = directory / "studies" / directory.name / "journal.db"
    if not _holds_study(path, directory.name):
        return []
    storage = RDBStorage(f"sqlite:///{path}")
    study = optuna.load_study(study_name=directory.name, storage=storage)
    trials = [_told(trial) for trial in study.get_trials(deepcopy=False)]
    storage.remove_session()
    storage.engine.dispose()
    return trials


def _holds_study(path: Path, name: str) -> bool:
    """Whether a file is a whole journal yet; Optuna, asked too early, would make it one itself."""
    if not path.is_file():
        return False
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        try:
            found = file.execute(
                "SELECT 1 FROM alembic_version, studies WHERE study_name = ?", [name]
            )
            return found.fetchone() is not None
        except sqlite3.OperationalError:
            return False


def _told(trial: optuna.trial.FrozenTrial) -> Told:
    return Told(
        number=trial.number,
        state=trial.state.name,
        value=trial.value if trial.state.name in {"COMPLETE", "PRUNED"} else None,
        overrides=tuple(trial.user_attrs.get("overrides", ())),
        seed=trial.user_attrs.get("seed", -1),
        params=json.dumps(trial.params, sort_keys=True),
        best_by_epoch=tuple(sorted(trial.intermediate_values.items())),
    )


def runs_at(tracking_uri: str, experiment: str) -> list[Recorded]:
    """All runs of trials, and the study's own as number -1."""
    client = mlflow.MlflowClient(tracking_uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    return [_recorded(client, run) for run in client.search_runs([found.experiment_id])]


def _recorded(client: mlflow.MlflowClient, run: Any) -> Recorded:
    names = [name for name in run.data.metrics if not name.startswith(CLOCKS)]
    points = {
        name: sorted({(p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)})
        for name in names
    }
    doubled = [name for name, of in points.items() if len({step for step, _ in of}) < len(of)]
    number = int(run.data.tags.get("mhray.trial", -1))
    epochs = {name: tuple(of) for name, of in points.items()}
    return Recorded(number, run.info.status, epochs, tuple(doubled))
