from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    MultiStepLR,
    ReduceLROnPlateau,
    StepLR,
)

from mhray.errors import ConfigError
from mhray.models.optimisation import (
    check_clipping,
    check_optimizer,
    check_schedule,
    check_scheduler,
    make_scheduler_for,
    schedule_arguments,
)


@pytest.mark.parametrize(
    "optimizer", [torch.optim.Adam, torch.optim.SGD, partial(torch.optim.AdamW, lr=0.1)]
)
def test_an_optimizer_may_be_a_class_or_a_partial(optimizer):
    check_optimizer(optimizer)


@pytest.mark.parametrize(
    "scheduler",
    [ReduceLROnPlateau, partial(StepLR, step_size=2), partial(CosineAnnealingLR, T_max=3)],
)
def test_a_scheduler_may_be_a_class_if_it_needs_no_arguments_and_a_partial(scheduler):
    check_scheduler(scheduler)


def test_a_scheduler_without_its_arguments_says_how_to_give_them():
    with pytest.raises(ConfigError) as error:
        check_scheduler(StepLR)
    assert str(error.value) == (
        "model.scheduler: StepLR needs step_size; give a partial, in YAML _partial_: true and "
        "step_size: ..., in Python functools.partial(StepLR, step_size=...)"
    )


def test_a_partial_that_still_lacks_an_argument_is_refused():
    with pytest.raises(ConfigError, match="CosineAnnealingLR needs T_max"):
        check_scheduler(partial(CosineAnnealingLR, eta_min=0.1))


def test_a_plateau_of_the_minimum_is_refused():
    with pytest.raises(ConfigError) as error:
        check_scheduler(partial(ReduceLROnPlateau, mode="min"))
    assert str(error.value) == (
        "model.scheduler.mode: min, but a plateau is one of val/acc_mean (or of the primary "
        "head's accuracy), which should grow; write model.scheduler.mode=max or leave it out"
    )


class Patient(ReduceLROnPlateau):
    """A plateau scheduler that takes the mode as its parent does."""

    def __init__(self, optimizer, mode="min"):
        super().__init__(optimizer, mode, patience=50)


class Stubborn(ReduceLROnPlateau):
    """A plateau scheduler that takes no mode."""

    def __init__(self, optimizer):
        super().__init__(optimizer)


def stubborn(optimizer):
    return ReduceLROnPlateau(optimizer)


@pytest.mark.parametrize("scheduler", [Stubborn, stubborn])
def test_a_plateau_scheduler_made_for_a_minimum_is_refused(scheduler):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    with pytest.raises(ConfigError) as error:
        make_scheduler_for(optimizer, scheduler)
    assert str(error.value) == (
        "model.scheduler.mode: min, but a plateau is one of val/acc_mean (or of the primary "
        "head's accuracy), which should grow; write model.scheduler.mode=max"
    )


@pytest.mark.parametrize(
    ("optimizer", "precision"),
    [
        (torch.optim.AdamW, "16-mixed"),
        (partial(torch.optim.AdamW, fused=False), "bf16-mixed"),
        (partial(torch.optim.AdamW, fused=True), "bf16-true"),
    ],
)
def test_gradients_of_other_optimizers_and_precisions_are_clipped(optimizer, precision):
    check_clipping(optimizer, precision)


@pytest.mark.parametrize(
    "scheduler", [ReduceLROnPlateau, partial(ReduceLROnPlateau, patience=1), Patient]
)
def test_a_plateau_scheduler_waits_for_growth(scheduler):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    assert make_scheduler_for(optimizer, scheduler).mode == "max"


@pytest.mark.parametrize(
    ("planned", "changed", "name", "was", "now"),
    [
        (partial(CosineAnnealingLR, T_max=3), partial(CosineAnnealingLR, T_max=6), "T_max", 3, 6),
        (partial(StepLR, step_size=2), partial(StepLR, step_size=2, gamma=0.5), "gamma", 0.1, 0.5),
        (ReduceLROnPlateau, partial(ReduceLROnPlateau, min_lr=1e-4), "min_lr", 0, 1e-4),
        (
            partial(MultiStepLR, milestones=[2]),
            partial(MultiStepLR, milestones=[3]),
            "milestones",
            [2],
            [3],
        ),
    ],
)
def test_a_changed_argument_of_a_resumed_schedule_is_refused(planned, changed, name, was, now):
    with pytest.raises(ConfigError) as error:
        check_schedule(schedule_arguments(changed), schedule_arguments(planned))
    assert str(error.value) == (
        f"ckpt_path: its model.scheduler.{name} is {was}, and this run's {now}; write "
        f"model.scheduler.{name}={was} to go on as planned, or leave ckpt_path out to train anew"
    )


@pytest.mark.parametrize("changed", [None, partial(StepLR, step_size=3)])
def test_another_schedule_than_that_of_the_checkpoint_is_refused(changed):
    planned = partial(CosineAnnealingLR, T_max=3)
    with pytest.raises(ConfigError) as error:
        check_schedule(schedule_arguments(changed), schedule_arguments(planned))
    assert str(error.value) == (
        "ckpt_path: its model.scheduler is one with T_max, eta_min, last_epoch, and this run's is "
        "another; write that one, or leave ckpt_path out to train anew"
    )


@pytest.mark.parametrize(
    ("planned", "same"),
    [
        (partial(StepLR, step_size=2), partial(StepLR, step_size=2, gamma=0.1)),
        (ReduceLROnPlateau, partial(ReduceLROnPlateau, mode="max")),
        (partial(LambdaLR, lr_lambda=lambda _: 1.0), partial(LambdaLR, lr_lambda=lambda _: 0.5)),
        (None, partial(StepLR, step_size=2)),
        (None, None),
    ],
)
def test_a_run_goes_on_with_its_schedule_or_with_its_first(planned, same):
    check_schedule(schedule_arguments(same), schedule_arguments(planned))
