"""What happens at both ends of an epoch: the seed is set; checkpoint and row are written.

Checkpoints are written here and not by Ray's ``RayTrainReportCallback`` or Lightning's
``ModelCheckpoint``: the first cannot be throttled and keeps nothing best, the second knows nothing
of reports, and the order of the two matters. A row is reported only once its checkpoint is on disk,
so whoever has seen epoch 5 can go on from epoch 5.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from omegaconf import DictConfig
from typing_extensions import override

from mhray.durable import replacing
from mhray.errors import ConfigError, did_you_mean, filling
from mhray.heads import Head
from mhray.models.trained_heads import predicted_heads, trained_heads
from mhray.training.cost import MeasureCost
from mhray.training.divergence import refuse_divergence

# Over other heads they are other measures. So is val/loss, which no study with such trials takes.
OVER_HEADS = ("val/acc_mean", "val/acc_best", "val/acc_spread")


@dataclass(frozen=True)
class EpochRow:
    """What a run knows after an epoch.

    Attributes:
        epoch: counted from 1.
        metrics: every logged metric, and the network's cost, by name.
        best: the best value of the selected metric so far.
        seconds: wall-clock time of the epoch, validation included.
        time: seconds since 1970 at which the epoch ended.
        images_per_second: trained by all workers together, validation left out. No metric, since
            equal runs have equal metrics.
    """

    epoch: int
    metrics: dict[str, float]
    best: float
    seconds: float
    time: float
    images_per_second: float = 0.0

    @property
    def logged(self) -> dict[str, float]:
        """What loggers and MLflow are told: the metrics, and what the epoch took."""
        pace = {"train/images_per_second": self.images_per_second}
        return {**self.metrics, **pace, "epoch_seconds": self.seconds}


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

    def check(self, heads: Sequence[Head], train_heads: Any = None) -> None:
        """Refuse a metric that a run with these heads does not log on the validation split.

        Args:
            heads: of the data.
            train_heads: ``model.train_heads``.

        Raises:
            ConfigError: with the metric that was probably meant, and all metrics; or with the heads
                that are not predicted; or the mode keeps the worst epoch.
        """
        if problem := why_no_judge(self.metric, heads, train_heads):
            raise ConfigError(f"select.metric: {problem}")
        if (mode := sensible_mode(self.metric)) and mode != self.mode:
            better = {"max": "higher", "min": "lower"}[mode]
            raise ConfigError(
                f"select.mode: {self.metric} is better the {better} it is; write select.mode={mode}"
            )

    def prefers(self, value: float, other: float) -> bool:
        """Whether ``value`` is better than ``other``."""
        return value > other if self.mode == "max" else value < other


def why_no_judge(
    metric: str, heads: Sequence[Head], train_heads: Any = None, *, compares: bool = False
) -> str | None:
    """What is wrong with judging runs of these heads by a metric, if something is.

    Args:
        metric: its name.
        heads: of the data.
        train_heads: ``model.train_heads``.
        compares: whether the runs are compared with others, which may predict more heads.
    """
    trained = trained_heads(train_heads, [head.name for head in heads])
    predicted = predicted_heads(heads, train_heads)
    left_out = [head.name for head in heads if head not in predicted]
    unlike = OVER_HEADS if left_out and compares else ()
    known = [name for name in validation_metrics(predicted) if name not in unlike]
    if metric in known:
        return None
    if metric in validation_metrics(heads):
        return (
            f"{metric} cannot judge runs, since model.train_heads leaves {' and '.join(left_out)} "
            f"without a prediction; write val/{trained[0]}_acc"
        )
    return f"no run logs {metric}; {did_you_mean(metric, known)}"


def validation_metrics(heads: Iterable[Head]) -> tuple[str, ...]:
    """The names of all metrics that a run which predicts these heads may be judged by.

    >>> validation_metrics([Head("velocity", 8, scale="log")])[:4]
    ('val/acc_mean', 'val/velocity_acc', 'val/velocity_loss', 'val/velocity_mae')
    """
    known = list(heads)
    per_head = [f"val/{head.name}_{kind}" for head in known for kind in _kinds(head)]
    of_a_pair = ["val/loss_ratio"] if len(known) == 2 else []  # noqa: PLR2004
    return ("val/acc_mean", *per_head, "val/acc_best", "val/acc_spread", "val/loss", *of_a_pair)


def sensible_mode(metric: str) -> str | None:
    """The only sensible mode of a metric, if there is one.

    >>> sensible_mode("val/acc_mean"), sensible_mode("val/sum_mae"), sensible_mode("val/acc_spread")
    ('max', 'min', None)
    """
    if metric.endswith(("/loss", "_loss", "_mae")):
        return "min"
    return "max" if metric.endswith(("/acc_mean", "/acc_best", "_acc")) else None


def shown_metrics(
    heads: Iterable[Head], judges: Iterable[str], *, has_mean: bool = True
) -> dict[str, str]:
    """What a person is shown of an epoch: metrics without their split, and a word for each.

    The accuracy of each head and, if it is of all heads, their mean; then what else trials are
    judged by.

    >>> shown_metrics([Head("left", 10)], ["val/left_acc", "val/left_mae"])
    {'left_acc': 'left', 'acc_mean': 'mean', 'left_mae': 'left_mae'}
    """
    accuracies = {f"{head.name}_acc": head.name for head in heads}
    accuracies |= {"acc_mean": "mean"} if has_mean else {}
    judging = [metric.partition("/")[2] for metric in judges]
    return accuracies | {name: name for name in judging if name not in accuracies}


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


def _kinds(head: Head) -> Iterator[str]:
    """What is logged of a head."""
    yield from ("acc", "loss")
    if head.is_ordinal:
        yield "mae"
    if head.is_skewed:
        yield "balanced_acc"
