"""What happens at both ends of an epoch: the seed is set; checkpoint and row are written.

Checkpoints are written here and not by Ray's ``RayTrainReportCallback`` or Lightning's
``ModelCheckpoint``: the first cannot be throttled and keeps nothing best, the second knows nothing
of reports, and the order of the two matters. A row is reported only once its checkpoint is on disk,
so whoever has seen epoch 5 can go on from epoch 5.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from omegaconf import DictConfig
from typing_extensions import override

from mhray.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class EpochRow:
    """What a run knows after an epoch.

    Attributes:
        epoch: counted from 1.
        metrics: every logged metric, by name.
        best: the best value of the selected metric so far.
        seconds: wall-clock time of the epoch, validation included.
        time: seconds since 1970 at which the epoch ended.
    """

    epoch: int
    metrics: dict[str, float]
    best: float
    seconds: float
    time: float


@dataclass(frozen=True)
class BestEpoch:
    """The epoch with the best selected metric so far; ``epoch`` 0 stands for none yet."""

    epoch: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Selection:
    """Which metric judges a run, and which way is better."""

    metric: str
    mode: str

    @classmethod
    def of(cls, config: DictConfig) -> "Selection":
        """The selection of a run's config.

        Raises:
            ConfigError: ``select.mode`` is neither max nor min.
        """
        if config.select.mode not in {"max", "min"}:
            raise ConfigError(f"select.mode: {config.select.mode!r} is no mode; write max or min")
        return cls(config.select.metric, config.select.mode)

    def check(self, heads: Sequence[str]) -> None:
        """Refuse a metric that a run with these heads does not log on the validation split.

        Raises:
            ConfigError: with the metric that was probably meant, and all metrics.
        """
        known = validation_metrics(heads)
        if self.metric not in known:
            hint = did_you_mean(self.metric, known)
            raise ConfigError(f"select.metric: no run logs {self.metric} to be judged by; {hint}")

    def prefers(self, value: float, other: float) -> bool:
        """Whether ``value`` is better than ``other``."""
        return value > other if self.mode == "max" else value < other


def validation_metrics(heads: Sequence[str]) -> tuple[str, ...]:
    """The names of all metrics that a run logs on the validation split.

    >>> validation_metrics(["left"])[:2]
    ('val/acc_mean', 'val/left_acc')
    """
    per_head = [f"val/{head}_{kind}" for head in heads for kind in ("acc", "loss")]
    return ("val/acc_mean", *per_head, "val/acc_best", "val/acc_spread", "val/loss")


def head_accuracies(metrics: Mapping[str, float], split: str) -> dict[str, float]:
    """The accuracy of each head on a split, and their plain mean as ``mean``.

    >>> head_accuracies({"val/left_acc": 0.5, "val/acc_mean": 0.5, "train/left_acc": 0.9}, "val")
    {'left': 0.5, 'mean': 0.5}
    """
    heads = {
        name.removeprefix(f"{split}/").removesuffix("_acc"): value
        for name, value in metrics.items()
        if name.startswith(f"{split}/") and name.endswith("_acc")
    }
    mean = f"{split}/acc_mean"
    return {**heads, "mean": metrics[mean]} if mean in metrics else heads


class SeedEachEpoch(Callback):
    """Seeds dropout by (seed, epoch, rank): a resumed epoch draws what it would have drawn."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        spread = (trainer.current_epoch * trainer.world_size + trainer.global_rank) * 2_654_435_761
        torch.manual_seed((self.seed + spread) % 2**63)


class ReportEpoch(Checkpoint):
    """Writes ``last.ckpt``, keeps ``best.ckpt``, then reports the epoch.

    A :class:`Checkpoint` because Lightning runs these after the module's own epoch end, when all
    metrics of the epoch are logged.
    """

    def __init__(
        self,
        directory: Path,
        selection: Selection,
        report: Callable[[EpochRow], None],
        *,
        repeats_last: bool,
    ) -> None:
        self.directory = directory
        self.selection = selection
        self.report = report
        self.repeats_last = repeats_last
        self.best = BestEpoch(0, {})
        self.last: EpochRow | None = None
        self.has_reported = False
        self.started = time.monotonic()

    @property
    def best_path(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.directory / "best.ckpt"

    @property
    def last_path(self) -> Path:
        """The checkpoint of the last epoch."""
        return self.directory / "last.ckpt"

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.monotonic()

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        epoch = trainer.current_epoch + 1
        if self.selection.metric not in metrics:
            raise ConfigError(
                f"select.metric: epoch {epoch} logged no {self.selection.metric} to be judged by; "
                "write trainer.limit_val_batches=null, or another metric"
            )
        improved = self._is_best(metrics[self.selection.metric]) or not self.best_path.exists()
        if improved:
            self.best = BestEpoch(epoch, metrics)
        best = self.best.metrics[self.selection.metric]
        self.last = EpochRow(epoch, metrics, best, time.monotonic() - self.started, time.time())
        self._save(trainer, improved=improved)
        self._report(self.last)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A trial may have been ended between the checkpoint of an epoch and its report.
        if self.repeats_last:
            self.report_at_least_once()

    def report_at_least_once(self) -> None:
        """Report the last epoch of the checkpoint that the run goes on from, if none was yet."""
        if self.last is not None and not self.has_reported:
            self._report(self.last)

    def _report(self, row: EpochRow) -> None:
        self.has_reported = True
        self.report(row)

    def _is_best(self, value: float) -> bool:
        if not self.best.epoch:
            return True
        return self.selection.prefers(value, self.best.metrics[self.selection.metric])

    def _save(self, trainer: Trainer, *, improved: bool) -> None:
        draft = self.directory / ".last.ckpt"
        trainer.save_checkpoint(draft, weights_only=False)
        if not trainer.is_global_zero:
            return
        if improved:
            copy = self.directory / ".best.ckpt"
            shutil.copyfile(draft, copy)
            copy.replace(self.best_path)
        draft.replace(self.last_path)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": asdict(self.best), "last": self.last and asdict(self.last)}

    @override
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.best = BestEpoch(**state_dict["best"])
        self.last = EpochRow(**state_dict["last"]) if state_dict["last"] else None
