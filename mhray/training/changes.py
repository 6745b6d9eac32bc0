"""What changes while a run trains: loss weights and the learning rate, from an epoch on.

Population-based training makes such changes, and a list of them replays what it made: a run with
`changes=[{epoch: 2, overrides: [model.optimizer.lr=0.002]}]` trains two epochs as its config says
and goes on with that rate. A trial of a population and its replay are the same run. Who makes the
changes is :mod:`mhray.training.changing`, which needs PyTorch.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from json import JSONEncoder
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mhray.errors import ConfigError, no_such_head
from mhray.training.overrides import LOSS_WEIGHTS

LEARNING_RATE = "model.optimizer.lr"
CHANGES = "changes"

_EXAMPLE = f"write {{epoch: 2, overrides: [{LEARNING_RATE}=0.002]}}"


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
