"""What changes while a run trains: loss weights and the learning rate, from an epoch on.

Population-based training makes such changes, and a list of them replays what it made: a run with
`changes=[{epoch: 2, overrides: [model.optimizer.lr=0.002]}]` trains two epochs as its config says
and goes on with that rate. A trial of a population and its replay are the same run.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from json import JSONEncoder
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from typing_extensions import override

from mhray.errors import ConfigError, no_such_head
from mhray.models.weighting import FixedWeighting
from mhray.training.overrides import LOSS_WEIGHTS

LEARNING_RATE = "model.optimizer.lr"
CHANGES = "changes"

_EXAMPLE = f"write {{epoch: 2, overrides: [{LEARNING_RATE}=0.002]}}"
# What optimisers and schedulers keep in a parameter group in the unit of a learning rate.
_RATES = ("lr", "initial_lr", "max_lr", "min_lr")


@dataclass(frozen=True)
class Change:
    """What holds from an epoch on.

    Attributes:
        epoch: the epoch after which it is made, counted from 1.
        overrides: ``path=value`` of loss weights and of the learning rate.
    """

    epoch: int
    overrides: tuple[str, ...]

    @property
    def loss_weights(self) -> dict[str, float]:
        """The loss weights that change, by head."""
        return {
            path.removeprefix(LOSS_WEIGHTS): value
            for path, value in self._values()
            if path.startswith(LOSS_WEIGHTS)
        }

    @property
    def lr(self) -> float | None:
        """The learning rate, if it changes."""
        return dict(self._values()).get(LEARNING_RATE)

    def _values(self) -> Iterator[tuple[str, float]]:
        for text in self.overrides:
            path, _, value = text.partition("=")
            yield path, float(value)


def changes_override(changes: Sequence[Change]) -> str:
    """The override that makes a run change so.

    >>> changes_override([Change(2, ("model.optimizer.lr=0.002",))])
    'changes=[{epoch:2,overrides:["model.optimizer.lr=0.002"]}]'
    """
    # JSON has double quotes, and a shell wants single ones around the whole.
    compact = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    listed = (f"{{epoch:{one.epoch},overrides:{compact(one.overrides)}}}" for one in changes)
    return f"{CHANGES}=[{','.join(listed)}]"


def changes_of(config: DictConfig) -> tuple[Change, ...]:
    """The changes of a run's config, in the order of their epochs.

    Raises:
        ConfigError: one of them is no change, or of what does not change during a run.
    """
    whole: Any = OmegaConf.to_container(config)
    raw = whole[CHANGES]
    if not isinstance(raw, list):
        raise ConfigError(f"changes: should be a list, not {raw!r}; {_EXAMPLE} in it")
    changes = [_change(f"changes[{index}]", entry) for index, entry in enumerate(raw)]
    for index, (before, after) in enumerate(pairwise(changes), 1):
        if after.epoch <= before.epoch:
            message = f"should come after {before.epoch}, not {after.epoch}"
            raise ConfigError(f"changes[{index}].epoch: {message}; sort the changes by epoch")
    return tuple(changes)


def check_heads_of_changes(changes: Sequence[Change], heads: Sequence[str]) -> None:
    """Refuse a change of a loss weight that is of none of the heads which are trained.

    Raises:
        HeadMismatchError: with the head that was probably meant, and all heads.
    """
    for index, change in enumerate(changes):
        for place, text in enumerate(change.overrides):
            path, _, _ = text.partition("=")
            head = path.removeprefix(LOSS_WEIGHTS)
            if head not in (path, *heads):
                raise no_such_head(f"changes[{index}].overrides[{place}]: {path}", head, heads)


def _change(where: str, raw: Any) -> Change:
    match raw:
        case {"epoch": int(epoch), "overrides": [_, *_] as overrides, **rest} if not rest:
            if epoch < 1 or epoch is True:
                raise ConfigError(f"{where}.epoch: should be 1 or more, not {epoch!r}; {_EXAMPLE}")
            for index, text in enumerate(overrides):
                _check(f"{where}.overrides[{index}]", text)
            return Change(epoch, tuple(overrides))
    raise ConfigError(f"{where}: is no change, {raw!r}; {_EXAMPLE}")


def _check(where: str, text: Any) -> None:
    path, _, value = str(text).partition("=")
    is_rate = path == LEARNING_RATE
    if not is_rate and not path.startswith(LOSS_WEIGHTS):
        raise ConfigError(
            f"{where}: {path} does not change during a run; write {LEARNING_RATE}=... or "
            f"{LOSS_WEIGHTS}<head>=..."
        )
    number = _number(value)
    if not 0 <= number < math.inf or (is_rate and number == 0):
        least = "above 0" if is_rate else "of at least 0"
        raise ConfigError(f"{where}: should be a number {least}, not {value!r}; write {path}=0.5")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


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
