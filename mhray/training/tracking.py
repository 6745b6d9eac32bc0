"""MLflow's runs: the one place that opens a tracking store and writes runs into it.

Only the driver of a sweep does so, through `MlflowClient` and never through MLflow's global active
run: four processes that open a fresh SQLite store crash three of them, workers need no credentials,
and nothing here depends on which run a thread believes to be active.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import Dataset, DatasetInput, Experiment, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from mhray.errors import StorageError, without_password
from mhray.training.experiment import (
    FAILURES,
    URI_KEY,
    absolute_uri,
    be_quiet_and_brief,
    is_silent,
    open_experiment,
    reason_of,
    unreachable,
)
from mhray.training.outbox import RunUpdate

KEY_TAG = "mhray.key"
FRONT = "front.json"
# MLflow's own `log_table` would add the rows a second time.
TABLES = "mlflow.loggedArtifacts"
# Without these a column of the UI is empty.
SOURCE = {"mlflow.source.name": "mhray.sweep", "mlflow.source.type": "LOCAL"}
DIGEST = 12  # characters; MLflow takes 36
ENDED = {"FINISHED", "FAILED", "KILLED"}

REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "BAD_REQUEST"}

_log = logging.getLogger(__name__)


class Tracking:
    """One experiment of an MLflow store; use `open_tracking`, or `expect_tracking`.

    Attributes:
        uri: with an absolute path, where it names a file.
    """

    def __init__(self, uri: str, open_experiment: Callable[[], Experiment]) -> None:
        self.uri = uri
        self._open_experiment = open_experiment
        self._run_ids: dict[str, str] = {}

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment, from the store if it was not asked for before.

        Raises:
            StorageError: the store cannot be opened or written, or the experiment was deleted.
        """
        return self._open_experiment()

    @cached_property
    def client(self) -> mlflow.MlflowClient:
        """MLflow's, which opens a database at once; the experiment comes first, with its errors."""
        return mlflow.MlflowClient(self.uri)

    @property
    def experiment_id(self) -> str:
        """Of MLflow's."""
        return str(self.experiment.experiment_id)

    @property
    def destination(self) -> str:
        """Differs between stores, and between one store and its successor at one place."""
        when = self.experiment.creation_time
        return f"{without_password(self.uri)} {self.experiment_id} {when}"

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
                    raise unreachable(self.uri, error) from None
                _log.warning("MLflow refuses what belongs to %s: %s", key, reason_of(error))

    def runs(self) -> dict[str, list[Run]]:
        """All runs by key; a key of several runs was written by something else as well.

        Raises:
            StorageError: the store cannot be reached now.
        """
        found: dict[str, list[Run]] = {}
        token: str | None = None
        try:
            while True:
                page = self.client.search_runs([self.experiment_id], page_token=token)
                for run in page:
                    found.setdefault(run.data.tags.get(KEY_TAG, ""), []).append(run)
                token = page.token
                if not token:
                    return found
        except FAILURES as error:
            raise unreachable(self.uri, error) from None

    def log_study(
        self,
        run_id: str,
        *,
        study_file: str,
        best_config: str,
        checkpoint: Path,
        trials: Sequence[Mapping[str, Any]],
        front: Mapping[str, Sequence[Any]],
        report: Path,
        dataset: tuple[str, str],
    ) -> None:
        """Put what a study leaves behind under its run, as artifacts.

        They are `study.yaml`, `trials.csv` with a row per trial, `front.json`, `report/`, and of
        the best trial `best/config.yaml` and `best/<checkpoint's file name>`. A second time
        replaces them. `front` has `columns` and, as `data`, rows. The study's `dataset`, its name
        and its fingerprint, becomes the run's input.

        Raises:
            StorageError: the artifacts' place cannot be written or reached.
            NoAnswerError: the server does not answer now.
        """
        table = pd.DataFrame([dict(row) for row in trials]).to_csv(index=False)
        try:
            self.client.log_text(run_id, study_file, "study.yaml")
            self.client.log_text(run_id, table, "trials.csv")
            self.client.log_text(run_id, json.dumps(dict(front)), FRONT)
            self._show_as_table(run_id, FRONT)
            self.client.log_text(run_id, best_config, "best/config.yaml")
            self.client.log_artifact(run_id, str(checkpoint), "best")
            self.client.log_artifacts(run_id, str(report), "report")
            self.client.log_inputs(run_id, [_input(*dataset)])
        except FAILURES as error:
            if is_silent(self.uri, error):
                raise unreachable(self.uri, error) from None
            raise StorageError(
                f"storage: the study's artifacts cannot be written ({reason_of(error)}); make that "
                "place writable, and start the same command again"
            ) from None

    def _show_as_table(self, run_id: str, path: str) -> None:
        """Note among MLflow's tables of a run that this artifact is one."""
        known = json.loads(self.client.get_run(run_id).data.tags.get(TABLES, "[]"))
        table = {"path": path, "type": "table"}
        if table not in known:
            self.client.set_tag(run_id, TABLES, json.dumps([*known, table]))

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
        tags = {KEY_TAG: key, **SOURCE}
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
        NoAnswerError: the server does not answer now.
    """
    keys = (uri_key, experiment_key)
    tracking = expect_tracking(uri, experiment, artifact_location, keys)
    _ = tracking.experiment
    return tracking


def expect_tracking(
    uri: str,
    experiment: str,
    artifact_location: Path,
    keys: tuple[str, str] = (URI_KEY, "mlflow.experiment"),
) -> Tracking:
    """The same, but the store is opened when it is first needed: it may be away until then."""
    be_quiet_and_brief()
    uri = absolute_uri(uri)
    return Tracking(uri, partial(open_experiment, uri, experiment, artifact_location, keys))


def _input(name: str, fingerprint: str) -> DatasetInput:
    return DatasetInput(Dataset(name, fingerprint[:DIGEST], "local", "{}"))


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, MlflowException) and error.error_code in REFUSALS
