"""Makes the changes of a run while it trains: of its loss weights, and of its learning rate."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig
from torch import Tensor
from typing_extensions import override

from mhray.errors import ConfigError
from mhray.models.weighting import FixedWeighting
from mhray.training.changes import (
    LEARNING_RATE,
    Change,
    changes_of,
    check_heads_of_changes,
)

# What optimisers and schedulers keep in a parameter group in the unit of a learning rate.
_RATES = ("lr", "initial_lr", "max_lr", "min_lr")


class ApplyChanges(Callback):
    """Makes the changes of a run, each before the first epoch for which it holds.

    A changed learning rate is a factor on what the optimiser has, so that a scheduler keeps its
    course. Rates are in a checkpoint, and with them which change was the last; loss weights are
    not, and are set again when a run goes on.
    """

    def __init__(self, config: DictConfig) -> None:
        """Raises ConfigError if the changes cannot be made in a run of this config."""
        self.changes = changes_of(config)
        self.factors = list(_factors(self.changes, config.model.optimizer.get("lr")))
        self.loss_weights = list(_merged(self.changes, config.model.get("loss_weights") or {}))
        self.last_made = 0
        self.normalise = (config.model.get("weighting") or {}).get("normalise", False)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # An unknown head is refused now, not epochs later.
        module: Any = pl_module
        check_heads_of_changes(self.changes, list(module.predicted.trained))
        for loss_weights in self.loss_weights:
            self._weights(pl_module, loss_weights)

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        count = sum(change.epoch <= trainer.current_epoch for change in self.changes)
        for change, factor in zip(self.changes[:count], self.factors, strict=False):
            if change.epoch > self.last_made:
                _multiply_rates(trainer, factor)
                self.last_made = change.epoch
        if count and self.loss_weights:
            module: Any = pl_module
            module.weighting.weights.copy_(self._weights(module, self.loss_weights[count - 1]))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"last_made": self.last_made}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last_made = state_dict["last_made"]

    def _weights(self, module: Any, loss_weights: Mapping[str, float]) -> Tensor:
        """The weights of the heads that a module trains, (heads,), as its weighting has them."""
        if not isinstance(module.weighting, FixedWeighting):
            raise ConfigError(
                f"changes: model.weighting is {type(module.weighting).__name__}, which sets the "
                "weights itself; write weighting=fixed, or change the learning rate only"
            )
        heads = module.predicted.trained
        return FixedWeighting(heads, loss_weights, normalise=self.normalise).weights


def _factors(changes: Sequence[Change], lr: float | None) -> Iterator[float]:
    """What each change multiplies the learning rate by."""
    for index, change in enumerate(changes):
        if change.lr is not None and lr is None:
            raise ConfigError(f"changes[{index}]: {LEARNING_RATE} is not set; set it as well")
        yield 1.0 if change.lr is None or lr is None else change.lr / lr
        lr = change.lr or lr


def _merged(
    changes: Sequence[Change], loss_weights: Mapping[str, float]
) -> Iterator[dict[str, float]]:
    """All loss weights from each change on; nothing if none ever changes."""
    merged = dict(loss_weights)
    for change in changes if any(change.loss_weights for change in changes) else ():
        merged |= change.loss_weights
        yield dict(merged)


def _multiply_rates(trainer: Trainer, factor: float) -> None:
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            group.update({name: group[name] * factor for name in _RATES if name in group})
    for config in trainer.lr_scheduler_configs:
        _multiply_base_rates(config.scheduler, factor)


def _multiply_base_rates(scheduler: Any, factor: float) -> None:
    """Those of a scheduler, and of the schedulers that it is made of."""
    state = vars(scheduler)
    if "base_lrs" in state:
        scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]
    for part in state.get("_schedulers", ()):
        _multiply_base_rates(part, factor)
