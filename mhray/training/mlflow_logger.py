"""The MLflow logger of a single run: Lightning's own, in a store that was opened as a sweep's is.

Lightning's logger alone makes MLflow repeat for minutes what cannot work, and writes its chatter
to standard error.
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger
from typing_extensions import override

from mhray.errors import ConfigError, without_password
from mhray.training.experiment import FAILURES, reason_of
from mhray.training.tracking import open_tracking

ARTIFACTS = Path("mlflow-artifacts")  # of the whole experiment, as the store is


def open_mlflow_logger(
    save_dir: str, tracking_uri: str, experiment_name: str, tags: Sequence[str] = ()
) -> MLFlowLogger:
    """A logger whose run is named after the run's directory.

    It raises OSError where its store cannot be written any more, as one that writes files does.

    Raises:
        ConfigError: the experiment has no name.
        StorageError: the store cannot be opened.
    """
    if not (type(experiment_name) is str and experiment_name.strip()):
        raise ConfigError(
            f"logger.mlflow.experiment_name: should be a name, found {experiment_name!r}; "
            "write one, such as runs"
        )
    tracking = open_tracking(
        tracking_uri,
        experiment_name,
        ARTIFACTS,
        uri_key="logger.mlflow.tracking_uri",
        experiment_key="logger.mlflow.experiment_name",
    )
    ours = {"mhray.directory": str(Path(save_dir).absolute()), "mhray.tags": ", ".join(tags)}
    return _Logger(experiment_name, Path(save_dir).name, tracking_uri=tracking.uri, tags=ours)


class _Logger(MLFlowLogger):
    """Raises OSError in place of what MLflow and its database raise."""

    @override
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        with self._writing():
            super().log_hyperparams(params)

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        with self._writing():
            super().log_metrics(metrics, step)

    @override
    def finalize(self, status: str = "success") -> None:
        with self._writing():
            super().finalize(status)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            uri = without_password(self._tracking_uri)
            raise OSError(f"{uri} is gone: {reason_of(error)}") from None
