"""MLflow's runs: the one place that opens a tracking store and writes runs into it.

Only the driver of a sweep does so, through `MlflowClient` and never through MLflow's global active
run: four processes that open a fresh SQLite store crash three of them, workers need no credentials,
and nothing here depends on which run a thread believes to be active.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import sqlalchemy
from mlflow.entities import Experiment, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from mhray.errors import StorageError, without_password
from mhray.training.outbox import RunUpdate

URI_KEY = "mlflow.tracking_uri"
KEY_TAG = "mhray.key"
ENDED = {"FINISHED", "FAILED", "KILLED"}

# No retries inside MLflow: it repeats even "create a run" blindly, and its defaults block 258 s.
# Whoever has set these variables is obeyed.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "BAD_REQUEST"}
FAILURES = (MlflowException, SQLAlchemyError, OSError, ImportError)

_log = logging.getLogger(__name__)


class Tracking:
    """One experiment of an MLflow store; use `open_tracking`.

    Attributes:
        uri: with an absolute path, where it names a file.
        destination: differs between stores, and between one store and its successor at one place.
    """

    def __init__(self, uri: str, experiment: Experiment) -> None:
        self.uri = uri
        self.client = mlflow.MlflowClient(uri)
        self.experiment_id: str = experiment.experiment_id
        self.destination = (
            f"{without_password(uri)} {experiment.experiment_id} {experiment.creation_time}"
        )
        self._run_ids: dict[str, str] = {}

    def run_id(self, key: str) -> str | None:
        """The run with this key, if this process has written to it."""
        return self._run_ids.get(key)

    def deliver(self, updates: Sequence[RunUpdate]) -> None:
        """Write updates into their runs; a second time changes nothing.

        What MLflow refuses for good (the run was deleted in its UI, say) is logged and left out:
        it must not hold up what comes after.

        Raises:
            StorageError: the store cannot be reached now.
        """
        for key in dict.fromkeys(update.key for update in updates):
            try:
                self._write(key, [update for update in updates if update.key == key])
            except FAILURES as error:
                if not _is_refusal(error):
                    raise _unreachable(self.uri, error) from None
                _log.warning("MLflow refuses what belongs to %s: %s", key, reason_of(error))

    def log_study(
        self,
        run_id: str,
        *,
        study_file: str,
        best_config: str,
        checkpoint: Path,
        trials: Sequence[Mapping[str, Any]],
    ) -> None:
        """Put what a study leaves behind under its run, as artifacts.

        They are `study.yaml`, `trials.csv` with a row per trial, and of the best trial
        `best/config.yaml` and `best/<checkpoint's file name>`. A second time replaces them.

        Raises:
            StorageError: the artifacts' place cannot be written or reached.
        """
        table = pd.DataFrame([dict(row) for row in trials]).to_csv(index=False)
        try:
            self.client.log_text(run_id, study_file, "study.yaml")
            self.client.log_text(run_id, table, "trials.csv")
            self.client.log_text(run_id, best_config, "best/config.yaml")
            self.client.log_artifact(run_id, str(checkpoint), "best")
        except FAILURES as error:
            raise StorageError(
                f"storage: the study's artifacts cannot be written ({reason_of(error)}); make that "
                "place writable, and start the same command again"
            ) from None

    def _write(self, key: str, updates: Sequence[RunUpdate]) -> None:
        run_id = self._find_or_create(key, updates[0])
        params = {name: value for update in updates for name, value in update.params.items()}
        tags = {name: value for update in updates for name, value in update.tags.items()}
        self.client.log_batch(
            run_id,
            metrics=[
                Metric(name, value, update.time, update.step)
                for update in updates
                for name, value in update.metrics.items()
            ],
            params=[Param(name, value) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
            synchronous=True,
        )
        changes = [update for update in updates if update.status]
        if changes:
            self._set_status(run_id, changes[-1])

    def _set_status(self, run_id: str, update: RunUpdate) -> None:
        if update.status in ENDED:
            self.client.set_terminated(run_id, update.status, end_time=update.time)
        else:
            self.client.update_run(run_id, status=update.status)

    def _find_or_create(self, key: str, first: RunUpdate) -> str:
        if key not in self._run_ids:
            self._run_ids[key] = self._find(key) or self._create(key, first)
        return self._run_ids[key]

    def _find(self, key: str) -> str | None:
        found = self.client.search_runs(
            [self.experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1
        )
        return found[0].info.run_id if found else None

    def _create(self, key: str, first: RunUpdate) -> str:
        tags = {KEY_TAG: key}
        if first.parent:
            parent = self._run_ids.get(first.parent) or self._find(first.parent)
            tags["mlflow.parentRunId"] = parent or ""
        run = self.client.create_run(
            self.experiment_id, start_time=first.time, tags=tags, run_name=first.name
        )
        run_id: str = run.info.run_id
        return run_id


def open_tracking(
    uri: str,
    experiment: str,
    artifact_location: Path,
    *,
    uri_key: str = URI_KEY,
    experiment_key: str = "mlflow.experiment",
) -> Tracking:
    """An experiment of the store at `uri`; both are created if they do not exist.

    The artifacts of a new experiment lie under `artifact_location`, unless a server keeps them. The
    keys are where a user wrote the two, for the errors.

    Raises:
        StorageError: the store cannot be opened or written, or the experiment was deleted.
    """
    _route_chatter_to_root_logger()
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    uri = absolute_uri(uri)
    try:
        if _is_database(uri):
            _probe_database(uri)
        opened = _get_or_create(uri, experiment, artifact_location)
    except FAILURES as error:
        raise _unreachable(uri, error, uri_key) from None
    if opened.lifecycle_stage != "active":
        raise StorageError(
            f"{experiment_key}: {experiment} was deleted from {without_password(uri)}; "
            "write another name, or run "
            f"`mlflow experiments restore --experiment-id {opened.experiment_id}`"
        )
    return Tracking(uri, opened)


def absolute_uri(uri: str) -> str:
    """The URI with the path of an SQLite file made absolute, so that it means one file anywhere.

    >>> absolute_uri("http://127.0.0.1:5000")
    'http://127.0.0.1:5000'
    >>> absolute_uri("sqlite:////data/mlflow.db")
    'sqlite:////data/mlflow.db'
    """
    relative = uri.removeprefix("sqlite:///")
    return f"sqlite:///{Path(relative).absolute()}" if relative not in {uri, ""} else uri


def reason_of(error: Exception) -> str:
    """What MLflow, its database or the disk has to say, in one line."""
    if "filesystem tracking backend" in str(error):
        return "MLflow no longer writes plain directories"
    return without_password(str(error)).splitlines()[0][:300]


def _route_chatter_to_root_logger() -> None:
    # MLflow gives these loggers a handler of its own that writes to standard error.
    for name in ("mlflow", "alembic", "huey", "sqlalchemy.engine"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True


def _is_database(uri: str) -> bool:
    return re.match(r"(sqlite|postgresql|mysql|mssql)(\+\w+)?://", uri) is not None


def _probe_database(uri: str) -> None:
    # MLflow itself retries for 101 s before it says that a database cannot be opened.
    url = make_url(uri)
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            sqlalchemy.inspect(connection).get_table_names()
            if is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        engine.dispose()


def _get_or_create(uri: str, name: str, artifacts: Path) -> Experiment:
    client = mlflow.MlflowClient(uri)
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return existing
    # A server may run on another machine, where a path of this one means nothing.
    location = str(artifacts.absolute()) if _is_database(uri) else None
    try:
        return client.get_experiment(client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        made_by_another = client.get_experiment_by_name(name)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or made_by_another is None:
            raise
        return made_by_another


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, MlflowException) and error.error_code in REFUSALS


def _unreachable(uri: str, error: Exception, key: str = URI_KEY) -> StorageError:
    return StorageError(
        f"{key}: {without_password(uri)} cannot be opened ({reason_of(error)}); "
        "write sqlite:///mlflow.db, or the address of a running MLflow server"
    )
