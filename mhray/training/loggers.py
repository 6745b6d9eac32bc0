"""Where the epochs of a single run are written beside its result: the loggers of a config.

The process that a person started writes, and no Trainer does. It hears of every epoch however many
workers train, so there is one writer; and the test split's metrics come after the epochs', in the
same place. A study has none of these: its driver tells MLflow of every trial.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from mhray.errors import StorageError, without_password
from mhray.training.parts import build_part


class RunLoggers:
    """All loggers of one run as one, by name: where one cannot write, the others do.

    Then every method raises StorageError, which says how to go on from what the directory has.
    """

    def __init__(self, loggers: Mapping[str, Logger], directory: Path) -> None:
        self._loggers = loggers
        self._remedy = (
            f"what was trained is in {directory}; to train on, write the same overrides and "
            f"ckpt_path={directory / 'last.ckpt'}"
        )

    def start(self, config: DictConfig) -> None:
        """Write the config of the run, flat."""
        params = {
            path: without_password(value) if isinstance(value, str) else value
            for path, value in flat(OmegaConf.to_container(config)).items()
        }
        self._each(lambda logger: logger.log_hyperparams(params), "start the same command again")

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Write metrics where they can be seen at once; epochs count from 1."""

        def write(logger: Logger) -> None:
            logger.log_metrics(dict(metrics), step=epoch)
            logger.save()

        self._each(write, self._remedy)

    def close(self, status: str) -> None:
        """Write what is left; the status is Lightning's word, ``success`` or ``failed``."""
        self._each(lambda logger: logger.finalize(status), self._remedy)

    def _each(self, write: Callable[[Logger], object], remedy: str) -> None:
        problems = []
        for name, logger in self._loggers.items():
            try:
                write(logger)
            except OSError as error:
                problems.append(f"logger.{name}: cannot be written ({error}); {remedy}")
        if problems:
            raise StorageError("\n".join(problems))


@contextmanager
def open_loggers(config: DictConfig, directory: Path) -> Iterator[RunLoggers]:
    """The loggers of a run, which know its config; closed at the end, as failed after an error.

    Raises:
        ConfigError: a logger's package is not installed, or its arguments are wrong.
        StorageError: a logger cannot write where it should.
    """
    parts = config.get("logger") or {}
    opened = {
        name: build_part(parts[name], f"logger.{name}", save_dir=str(directory)) for name in parts
    }
    loggers = RunLoggers(opened, directory)
    try:
        loggers.start(config)
        yield loggers
    except BaseException:
        # What ended the run is to be told, also where a logger cannot be.
        with suppress(StorageError):
            loggers.close("failed")
        raise
    loggers.close("success")


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
