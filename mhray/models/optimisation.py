"""Optimisers and schedulers, from what a user can name before there are parameters.

A class, or a partial that lacks only what set-up adds: `torch.optim.Adam` as it is, or in YAML
`_target_: torch.optim.AdamW` with `_partial_: true`.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from mhray.errors import ConfigError

Scheduler: TypeAlias = LRScheduler | ReduceLROnPlateau

_VARIADIC = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
_PLAIN = (int, float, str, list, tuple, type(None))  # what a checkpoint can hold and be compared by


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
    scheduler = make_scheduler(optimizer, **_plateau_mode(make_scheduler))
    if isinstance(scheduler, ReduceLROnPlateau) and scheduler.mode != "max":
        raise _wrong_mode(scheduler.mode, "write model.scheduler.mode=max")
    return scheduler


def schedule_arguments(make_scheduler: Callable[..., Scheduler] | None) -> dict[str, Any]:
    """What a scheduler is made with, its defaults included; what is a function is left out.

    >>> from torch.optim.lr_scheduler import CosineAnnealingLR
    >>> schedule_arguments(partial(CosineAnnealingLR, T_max=3))
    {'T_max': 3, 'eta_min': 0.0, 'last_epoch': -1}
    """
    if make_scheduler is None:
        return {}
    parameters = inspect.signature(make_scheduler).parameters.values()
    plain = {p.name: p.default for p in parameters if isinstance(p.default, _PLAIN)}
    return plain | _plateau_mode(make_scheduler)


def check_schedule(arguments: Mapping[str, Any], of_checkpoint: Mapping[str, Any]) -> None:
    """Raises ConfigError if a checkpoint has a schedule, and it is another one.

    Restoring a scheduler's state replaces its arguments, so these would go unheeded.
    """
    if of_checkpoint and of_checkpoint.keys() != arguments.keys():
        raise ConfigError(
            f"ckpt_path: its model.scheduler is one with {', '.join(of_checkpoint)}, and this "
            "run's is another; write that one, or leave ckpt_path out to train anew"
        )
    for name, planned in of_checkpoint.items():
        if arguments[name] != planned:
            raise ConfigError(
                f"ckpt_path: its model.scheduler.{name} is {planned}, and this run's "
                f"{arguments[name]}; write model.scheduler.{name}={planned} to go on as planned, "
                "or leave ckpt_path out to train anew"
            )


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


def _plateau_mode(factory: Callable[..., object]) -> dict[str, str]:
    takes_mode = "mode" in inspect.signature(factory).parameters
    return {"mode": "max"} if takes_mode and _is_plateau(factory) else {}


def _target(factory: Callable[..., object]) -> Callable[..., object]:
    return factory.func if isinstance(factory, partial) else factory


def _keywords(factory: Callable[..., object]) -> dict[str, object]:
    return factory.keywords if isinstance(factory, partial) else {}
