"""Optimisers and schedulers, from what a user can name before there are parameters.

A class, or a partial that lacks only what set-up adds: `torch.optim.Adam` as it is, or in YAML
`_target_: torch.optim.AdamW` with `_partial_: true`.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from mhray.errors import ConfigError

Scheduler: TypeAlias = LRScheduler | ReduceLROnPlateau

_VARIADIC = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def check_optimizer(make_optimizer: Callable[..., Optimizer]) -> None:
    """Raises ConfigError if the optimiser needs more than the parameters."""
    _refuse_missing_arguments("model.optimizer", make_optimizer)


def check_scheduler(make_scheduler: Callable[..., Scheduler]) -> None:
    """Raises ConfigError if the scheduler needs more than the optimiser, or follows a loss."""
    _refuse_missing_arguments("model.scheduler", make_scheduler)
    if _is_plateau(make_scheduler) and _keywords(make_scheduler).get("mode") == "min":
        raise _wrong_mode("min", "write model.scheduler.mode=max or leave it out")


def check_clipping(make_optimizer: Callable[..., Optimizer], precision: str) -> None:
    """Raises ConfigError if the optimiser cannot have its gradients clipped at this precision."""
    if precision.endswith("-mixed") and _keywords(make_optimizer).get("fused"):
        raise ConfigError(
            f"model.optimizer.fused: true, but with trainer.precision={precision} a fused "
            "optimiser's gradients cannot be clipped (trainer.gradient_clip_val); write "
            "model.optimizer.fused=false"
        )


def make_scheduler_for(optimizer: Optimizer, make_scheduler: Callable[..., Scheduler]) -> Scheduler:
    """The scheduler; a plateau scheduler waits for an accuracy, so its mode is `max`.

    Raises:
        ConfigError: a subclass or a function made a plateau scheduler of another mode.
    """
    takes_mode = "mode" in inspect.signature(make_scheduler).parameters
    defaults = {"mode": "max"} if _is_plateau(make_scheduler) and takes_mode else {}
    scheduler = make_scheduler(optimizer, **defaults)
    if isinstance(scheduler, ReduceLROnPlateau) and scheduler.mode != "max":
        raise _wrong_mode(scheduler.mode, "write model.scheduler.mode=max")
    return scheduler


def _refuse_missing_arguments(where: str, factory: Callable[..., object]) -> None:
    _supplied, *parameters = inspect.signature(factory).parameters.values()
    missing = [p.name for p in parameters if p.default is p.empty and p.kind not in _VARIADIC]
    if missing:
        name = _target(factory).__name__
        raise ConfigError(
            f"{where}: {name} needs {', '.join(missing)}; give a partial, in YAML _partial_: true "
            f"and {', '.join(f'{argument}: ...' for argument in missing)}, in Python "
            f"functools.partial({name}, {', '.join(f'{argument}=...' for argument in missing)})"
        )


def _wrong_mode(mode: str, remedy: str) -> ConfigError:
    return ConfigError(
        f"model.scheduler.mode: {mode}, but a plateau is one of val/acc_mean (or of the primary "
        f"head's accuracy), which should grow; {remedy}"
    )


def _is_plateau(factory: Callable[..., object]) -> bool:
    target = _target(factory)
    return inspect.isclass(target) and issubclass(target, ReduceLROnPlateau)


def _target(factory: Callable[..., object]) -> Callable[..., object]:
    return factory.func if isinstance(factory, partial) else factory


def _keywords(factory: Callable[..., object]) -> dict[str, object]:
    return factory.keywords if isinstance(factory, partial) else {}
