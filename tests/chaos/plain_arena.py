"""The same attacks on a plain Ray Tune script, and what Ray and MLflow say of it afterwards.

A trial of the script is what its ``result.json`` has: a row for each epoch. At the end only those
count that the restored Tuner knows and prints; a crash at the end means that it knows none.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
from typing_extensions import override

from tests.chaos.attack import Arena
from tests.chaos.checks import METRIC
from tests.chaos.records import Recorded, Told
from tests.chaos.sweeps import LOCAL, Attacked, Shape


class PlainArena(Arena):
    """The script in place of mhray's command."""

    study_runs = 0

    @override
    def _sweep(self, name: str, shape: Shape) -> Attacked:
        self.server.start()
        place = self.root / name
        place.mkdir()
        words = ["tests.chaos.plain", "--data", str(self.data), "--storage", str(place)]
        words += ["--trials", str(shape.trials), "--epochs", str(shape.epochs)]
        words += ["--tracking-uri", self.server.uri]
        return Attacked(words, place, place)

    @override
    def _now(self, sweep: Attacked) -> list[Told]:
        folders = sorted(path.parent for path in sweep.directory.glob("*/*/result.json"))
        return [_told(folder) for folder in folders]

    @override
    def _at_the_end(self, sweep: Attacked) -> list[Told]:
        if sweep.code() != 0:
            return []
        said = (sweep.directory / "output.txt").read_text(encoding="utf-8").splitlines()
        lists = [line for line in said if line.startswith('["/')]
        return [_told(Path(path)) for path in json.loads(lists[-1])] if lists else []

    @override
    def _trained(self, sweep: Attacked) -> dict[str, int]:
        return {str(trial.number): len(trial.best_by_epoch) for trial in self._now(sweep)}

    @override
    def _runs(self, sweep: Attacked) -> list[Recorded]:
        folders = [path.parent.name for path in sweep.directory.glob("*/*/result.json")]
        numbers = {name.split("_")[2]: _number_of(name) for name in folders}
        client = mlflow.MlflowClient(self.server.uri)
        found = client.get_experiment_by_name(sweep.directory.name)
        runs = [] if found is None else client.search_runs([found.experiment_id])
        return [_recorded(client, run, numbers) for run in runs]


def _told(folder: Path) -> Told:
    rows: list[dict[str, Any]] = []
    path = folder / "result.json"
    if path.is_file():
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    rows = [row for row in rows if "acc_mean" in row]
    has_ended = bool(rows) and rows[-1]["epoch"] == LOCAL.epochs
    config = rows[0]["config"] if rows else {}
    return Told(
        number=_number_of(folder.name),
        state="COMPLETE" if has_ended else "RUNNING",
        value=max(row["acc_mean"] for row in rows) if has_ended else None,
        overrides=(f"lr={config['lr']}",) if config else (),
        seed=12345,
        params=json.dumps(config, sort_keys=True),
        best_by_epoch=tuple((row["epoch"], row["acc_mean"]) for row in rows),
    )


def _recorded(client: mlflow.MlflowClient, run: Any, numbers: dict[str, int]) -> Recorded:
    points = client.get_metric_history(run.info.run_id, "acc_mean")
    history = tuple(sorted((point.step, point.value) for point in points))
    # Ray calls a run ``train_once_<id>``.
    number = numbers.get(run.info.run_name.split("_")[2], -1)
    return Recorded(number, run.info.status, {METRIC: history})


def _number_of(name: str) -> int:
    """Counted from 0; Ray calls a folder ``train_once_<id>_<count from 1>_<parameters>``."""
    return int(name.split("_")[3]) - 1
