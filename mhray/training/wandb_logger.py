"""The Weights & Biases logger of a single run: Lightning's own, which ends its run.

W&B has one run per process. Lightning leaves it open until the process ends, so that all runs of a
multirun would be one.
"""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.loggers import WandbLogger
from typing_extensions import override

from mhray.errors import ConfigError


def open_wandb_logger(
    save_dir: str,
    project: str,
    offline: bool,  # noqa: FBT001 - given by name, as all keys of a YAML
    tags: Sequence[str] = (),
) -> WandbLogger:
    """A logger whose run is named after the run's directory.

    Raises:
        ConfigError: wandb is not installed.
    """
    name, words = Path(save_dir).name, list(tags)
    try:
        return _Logger(name, save_dir, project=project, offline=offline, tags=words)
    except ModuleNotFoundError:
        raise ConfigError(
            'logger.wandb: wandb is not installed; run pip install "mhray[wandb]"'
        ) from None


class _Logger(WandbLogger):
    """Ends W&B's run where Lightning's does nothing."""

    @override
    def finalize(self, status: str) -> None:
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
