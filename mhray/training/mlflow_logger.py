"""The MLflow logger of a single run: Lightning's own, in a store that was opened as a sweep's is.

Lightning's logger alone makes MLflow repeat for minutes what cannot work, and writes its chatter
to standard error.
"""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.loggers import MLFlowLogger

from mhray.errors import StorageError
from mhray.training.tracking import open_tracking

ARTIFACTS = Path("mlflow-artifacts")  # of the whole experiment, as the store is


def open_mlflow_logger(
    save_dir: str, tracking_uri: str, experiment_name: str, tags: Sequence[str] = ()
) -> MLFlowLogger:
    """A logger whose run is named after the run's directory.

    Raises:
        StorageError: the store cannot be opened.
    """
    try:
        tracking = open_tracking(tracking_uri, experiment_name, ARTIFACTS)
    except StorageError as error:
        raise StorageError(f"logger.{error}") from None
    ours = {"mhray.directory": str(Path(save_dir).absolute()), "mhray.tags": ", ".join(tags)}
    return MLFlowLogger(experiment_name, Path(save_dir).name, tracking_uri=tracking.uri, tags=ours)
