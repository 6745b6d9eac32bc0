"""Where the epochs of a single run are written beside its result: the loggers of a config.

The process that a person started writes, and no Trainer does. It hears of every epoch however many
workers train, so there is one writer; and the test split's metrics come after the epochs', in the
same place. A study has none of these: its driver tells MLflow of every trial.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from mhray.training.run import build_part


class RunLoggers:
    """All loggers of one run as one."""

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self._loggers = loggers

    def start(self, config: DictConfig) -> None:
        """Write the config of the run, flat."""
        for logger in self._loggers:
            logger.log_hyperparams(flat(OmegaConf.to_container(config)))

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Write metrics where they can be seen at once; epochs count from 1."""
        for logger in self._loggers:
            logger.log_metrics(dict(metrics), step=epoch)
            logger.save()

    def close(self, status: str) -> None:
        """Write what is left; the status is Lightning's word, ``success`` or ``failed``."""
        for logger in self._loggers:
            logger.finalize(status)


@contextmanager
def open_loggers(config: DictConfig, directory: Path) -> Iterator[RunLoggers]:
    """The loggers of a run, which know its config; closed at the end, as failed after an error.

    Raises:
        ConfigError: a logger's package is not installed, or its arguments are wrong.
        StorageError: MLflow's store cannot be opened.
    """
    parts = config.get("logger") or {}
    loggers = RunLoggers(
        [build_part(parts[name], f"logger.{name}", save_dir=str(directory)) for name in parts]
    )
    status = "failed"
    try:
        loggers.start(config)
        yield loggers
        status = "success"
    finally:
        loggers.close(status)


def flat(config: Any, path: str = "") -> dict[str, Any]:
    """The values of a config by their paths, as overrides name them.

    >>> flat({"seed": 1, "model": {"net": {"dropout": 0.25}}, "tags": ["wide"]})
    {'seed': 1, 'model.net.dropout': 0.25, 'tags': ['wide']}
    """
    if not isinstance(config, Mapping):
        return {path: config}
    return {
        name: value
        for key, below in config.items()
        for name, value in flat(below, f"{path}.{key}" if path else str(key)).items()
    }
