"""MultiheadLitModule: one step, per-head metrics, optimiser.

A plain LightningModule, for any `lightning.Trainer` with any callbacks. Heads come from the data
module before the first step, and everything that names a head is checked against them there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from mhray.errors import ConfigError, DivergedError
from mhray.models.classifiers import ImageShape, ModulePerHead, MultiheadNetwork
from mhray.models.global_batch import losses_over_ranks
from mhray.models.optimisation import (
    Scheduler,
    check_clipping,
    check_optimizer,
    check_schedule,
    check_scheduler,
    make_scheduler_for,
    schedule_arguments,
)
from mhray.models.plateau import PlateauInTime
from mhray.models.predicted_heads import ImpliedHeads, PredictedHeads
from mhray.models.tallies import Tallies
from mhray.models.tally import EpochMetrics, Tally
from mhray.models.trained_heads import refuse_other_heads, refuse_unpredicted
from mhray.models.weighting import FixedWeighting, Weighting, parameter_groups

# images (batch, channels, height, width), and each head's targets (batch,)
Batch: TypeAlias = tuple[Tensor, dict[str, Tensor]]


class MultiheadLitModule(PlateauInTime):
    """Trains a network on all heads of the data, or on `train_heads` alone.

    `optimizer`, `scheduler` and `weighting` are classes, or partials that lack what only set-up
    knows: the parameters, the optimiser, the heads and `loss_weights`. `val/acc_best` and a
    plateau scheduler follow `primary_head`'s accuracy if one is named, else `val/acc_mean`; never
    a loss, since loss weights scale it.

    Raises:
        ConfigError: the optimiser or the scheduler needs arguments that it was not given.
    """

    weighting: Weighting
    predicted: PredictedHeads
    _tallies: Tallies
    _train_tally: Tally
    _eval_tally: Tally

    def __init__(
        self,
        net: MultiheadNetwork,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., Scheduler] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        auto_configure_from_dataset: bool = True,  # noqa: FBT001, FBT002 - the documented interface
        compile: bool = False,  # noqa: A002, FBT001, FBT002 - the documented interface
        primary_head: str | None = None,
        weighting: Callable[..., Weighting] | None = None,
        train_heads: Sequence[str] | str | None = None,
    ) -> None:
        super().__init__()
        check_optimizer(optimizer)
        if scheduler is not None:
            check_scheduler(scheduler)
        self.net = net
        self.criteria = ModulePerHead()
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self._make_weighting = weighting or FixedWeighting
        self._loss_weights = loss_weights
        self._auto_configures = auto_configure_from_dataset
        self._compiles = compile
        self._primary_head = primary_head
        self._train_heads = train_heads
        self._best_acc = -math.inf
        self._schedule_to_resume: dict[str, Any] = {}

    @override
    def setup(self, stage: str) -> None:
        """Builds what depends on the data; later calls change nothing.

        A data module whose information has no `ordinal_heads`, `skewed_heads`, `implied_heads` or
        `largest_shares` has none.

        Raises:
            HeadMismatchError: a loss weight, `primary_head`, `train_heads` or the data module's
                information names a head that the data lack.
            ConfigError: the network was made for other data, or nothing says for which; or two
                heads would log a metric of one name; or `primary_head` is not predicted; or the
                optimiser does not bear that gradients are clipped.
        """
        if self._auto_configures and (self._datamodule is not None or not self.criteria):
            info = self._dataset_info()
            shape, implied = tuple(info["image_shape"]), info.get("implied_heads", {})
            self.configure(shape, info["heads_config"], implied)
            self._tallies = Tallies.of(info, self.predicted)
        elif self.net.heads_config and self.net.image_shape:
            self.configure(self.net.image_shape, self.net.heads_config)
        else:
            raise ConfigError(
                "model.net: its heads are not known; write model.auto_configure_from_dataset=true, "
                "or give model.net heads_config, input_channels and input_size"
            )
        refuse_unpredicted(self._primary_head, self.predicted.names)
        if stage == "fit":
            if self.trainer.gradient_clip_val:
                check_clipping(self._make_optimizer, self.trainer.precision)
            # Of a checkpoint that the Trainer goes on from, both come after set-up.
            self._best_acc, self._schedule_to_resume = -math.inf, {}
            if self._compiles:
                self.net.compile()

    def configure(
        self,
        image_shape: ImageShape,
        heads_config: Mapping[str, int],
        implied_heads: ImpliedHeads | None = None,
    ) -> None:
        """Builds the layers, the weighting and the criteria, unless they are built already.

        Set-up does it with the data module's answers; without a Trainer, call it yourself.

        Raises:
            HeadMismatchError: a loss weight, `primary_head` or `train_heads` names a head that is
                not there.
            ConfigError: the network was made for other images or heads, or a loss weight or
                `train_heads` is wrong.
        """
        heads = self.net.configure(image_shape, heads_config)
        if implied_heads or not self.criteria:
            self.predicted = PredictedHeads(heads, self._train_heads, implied_heads or {})
            self._tallies = Tallies(self.predicted)
        if not self.criteria:
            self._build(heads)

    @override
    def forward(self, images: Tensor) -> Mapping[str, Tensor]:
        """The logits of every head that is predicted, each (batch, classes)."""
        logits: Mapping[str, Tensor] = self.predicted(self.net(images))
        return logits

    @override
    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser, and how it is scheduled.

        Raises:
            ConfigError: the checkpoint that the Trainer goes on from has another schedule.
        """
        check_schedule(schedule_arguments(self._make_scheduler), self._schedule_to_resume)
        optimizer = self._make_optimizer(parameter_groups(self))
        if self._make_scheduler is None:
            return optimizer
        scheduler = make_scheduler_for(optimizer, self._make_scheduler)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": self._followed_metric},
        }

    @override
    def on_train_start(self) -> None:
        self._train_tally = self._tallies.of_training(self.device)

    @override
    def on_train_epoch_start(self) -> None:
        self.weighting.begin_epoch(self.current_epoch)

    @override
    def training_step(self, batch: Batch) -> Tensor:
        loss = self._step(batch, self._train_tally)
        self._train_tally.add_weights(self.weighting.weights_in_use())
        return loss

    @override
    def on_train_epoch_end(self) -> None:
        metrics = self._read(self._train_tally)
        self._train_tally = self._tallies.of_training(self.device)
        # A run resumed at the end of an epoch comes here without having trained in it.
        if metrics is not None:
            self._refuse_divergence(metrics)
            self.weighting.end_epoch([metrics.head_losses[name] for name in self.predicted.trained])
            self._log_metrics(metrics.named("train"))
            self.step_plateau(self._followed_metric)

    @override
    def on_validation_epoch_start(self) -> None:
        self._eval_tally = self._tallies.of_evaluation(self.device)

    @override
    def validation_step(self, batch: Batch) -> None:
        self._step(batch, self._eval_tally)

    @override
    def on_validation_epoch_end(self) -> None:
        metrics = self._read(self._eval_tally)
        if metrics is not None and not self.trainer.sanity_checking:
            named = metrics.named("val")
            self._best_acc = max(self._best_acc, named[self._followed_metric])
            self._log_metrics({**named, "val/acc_best": self._best_acc})

    @override
    def on_test_epoch_start(self) -> None:
        self._eval_tally = self._tallies.of_evaluation(self.device)

    @override
    def test_step(self, batch: Batch) -> None:
        self._step(batch, self._eval_tally)

    @override
    def on_test_epoch_end(self) -> None:
        metrics = self._read(self._eval_tally)
        if metrics is not None:
            self._log_metrics(metrics.named("test"))

    @override
    def predict_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """The logits of every predicted head, each (batch, classes); targets are left unread."""
        return self.forward(batch[0])

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mhray"] = {
            "image_shape": self.net.image_shape,
            "heads_config": self.net.heads_config,
            "best_acc": self._best_acc,
            "schedule": schedule_arguments(self._make_scheduler),
        }

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint["mhray"]
        self.configure(saved["image_shape"], saved["heads_config"])
        self.weighting.check_saved(checkpoint["state_dict"])
        self._best_acc = saved["best_acc"]
        self._schedule_to_resume = saved["schedule"]

    @property
    def _followed_metric(self) -> str:
        return f"val/{self._primary_head}_acc" if self._primary_head else "val/acc_mean"

    @property
    def _datamodule(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def _dataset_info(self) -> dict[str, Any]:
        if self._datamodule is None:
            raise ConfigError(
                "model.auto_configure_from_dataset: true, but the Trainer has no data module; pass "
                "datamodule=..., or write false and give model.net its heads_config"
            )
        info: dict[str, Any] = self._datamodule.get_dataset_info()
        return info

    def _build(self, heads: Mapping[str, int]) -> None:
        trained = self.predicted.trained
        refuse_other_heads(heads, trained, self._loss_weights or {}, self._primary_head)
        self.weighting = self._make_weighting(trained, self._loss_weights)
        for name in heads:
            self.criteria[name] = nn.CrossEntropyLoss()
            if name not in trained:
                # DDP refuses parameters that are to be trained and get no gradient.
                self.net.heads[name].requires_grad_(requires_grad=False)

    def _step(self, batch: Batch, tally: Tally) -> Tensor:
        images, targets = batch
        logits = self.predicted(self.net(images))
        each = [self.criteria[name](logits[name], targets[name]) for name in self.predicted.names]
        losses = losses_over_ranks(torch.stack(each), len(images))
        loss: Tensor = self.weighting(self.predicted.losses_to_train_on(losses))
        tally.add(loss, losses, logits, targets)
        return loss

    def _read(self, tally: Tally) -> EpochMetrics | None:
        return tally.metrics(partial(self.trainer.strategy.reduce, reduce_op="sum"))

    def _refuse_divergence(self, metrics: EpochMetrics) -> None:
        if metrics.diverged is not None:
            raise DivergedError(
                f"train/{metrics.diverged}: not finite in epoch {self.current_epoch + 1}; write a "
                "smaller model.optimizer.lr, or trainer.gradient_clip_val=1.0"
            )

    def _log_metrics(self, metrics: Mapping[str, float]) -> None:
        # Every rank holds the same numbers. Without sync_dist Lightning warns, and a mean over
        # ranks would round them.
        self.log_dict(metrics, sync_dist=True, reduce_fx="max")
