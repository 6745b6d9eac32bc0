"""What happens at both ends of an epoch: the seed is set; checkpoint and row are written.

Checkpoints are written here and not by Ray's ``RayTrainReportCallback`` or Lightning's
``ModelCheckpoint``: the first cannot be throttled and keeps nothing best, the second knows nothing
of reports, and the order of the two matters. A row is reported only once its checkpoint is on disk,
so whoever has seen epoch 5 can go on from epoch 5.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from typing_extensions import override

from mhray.durable import replacing
from mhray.errors import ConfigError, filling
from mhray.training.cost import MeasureCost
from mhray.training.divergence import refuse_divergence
from mhray.training.epoch_row import EpochRow
from mhray.training.selection import Selection


@dataclass(frozen=True)
class BestEpoch:
    """The epoch with the best selected metric so far; ``epoch`` 0 stands for none yet."""

    epoch: int
    metrics: dict[str, float]


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
        cost: MeasureCost,
        *,
        repeats_last: bool,
    ) -> None:
        self.directory = directory
        self.selection = selection
        self.report = report
        self.cost = cost
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
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        metrics = logged | self.cost.network
        epoch = trainer.current_epoch + 1
        refuse_divergence(metrics, epoch)
        if self.selection.metric not in metrics:
            raise ConfigError(
                f"select.metric: epoch {epoch} logged no {self.selection.metric} to be judged by; "
                "write trainer.limit_val_batches=null, or another metric"
            )
        improved = self._is_best(metrics[self.selection.metric]) or not self.best_path.exists()
        if improved:
            self.best = BestEpoch(epoch, metrics)
        best = self.best.metrics[self.selection.metric]
        seconds, pace = time.monotonic() - self.started, self.cost.images_per_second
        self.last = EpochRow(epoch, metrics, best, seconds, time.time(), pace)
        with filling(self.directory):
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
        if not trainer.is_global_zero:
            # All ranks take part in gathering what the first one writes.
            trainer.save_checkpoint(self.last_path, weights_only=False)
            return
        with replacing(self.last_path) as draft:
            trainer.save_checkpoint(draft, weights_only=False)
            if improved:
                with replacing(self.best_path) as copy:
                    shutil.copyfile(draft, copy)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": asdict(self.best), "last": self.last and asdict(self.last)}

    @override
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.best = BestEpoch(**state_dict["best"])
        self.last = EpochRow(**state_dict["last"]) if state_dict["last"] else None
