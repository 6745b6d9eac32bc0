"""What ranks epochs and runs whose weights change: never their weighted loss."""

import pytest

from mhray.errors import ConfigError
from mhray.models.weighting import DWA, ClassCount, FixedWeighting, Uncertainty
from mhray.training.changes import Change, changes_override
from mhray.training.cost import MeasureCost
from mhray.training.epochs import ReportEpoch
from mhray.training.parts import build_part, build_trainer
from mhray.training.run import (
    check_heads,
    compose_run,
    read_heads_of,
)
from mhray.training.selection import Selection
from mhray.training.weighted_loss import why_incomparable

HEADS = {"left": 10, "sum": 19}
OF_A_LOSS = ["select.metric=val/loss", "select.mode=min"]
REMEDY = "so that no two epochs compare; write val/acc_mean or val/<head>_loss"
NEW_RATE, NEW_WEIGHT = (
    Change(2, (override,)) for override in ("model.optimizer.lr=1.0", "model.loss_weights.left=2.0")
)


@pytest.mark.parametrize("weighting", [DWA, Uncertainty])
def test_a_loss_with_weights_that_change_is_refused_and_nothing_else_is(weighting):
    problem = why_incomparable("val/loss", weighting(HEADS))
    name = weighting.__name__
    assert problem == f"val/loss is weighted by {name}, whose weights change in training, {REMEDY}"
    for metric in ("val/acc_mean", "val/left_loss", "val/acc_best"):
        assert why_incomparable(metric, weighting(HEADS)) is None


@pytest.mark.parametrize("weighting", [FixedWeighting, ClassCount])
def test_a_loss_with_weights_that_stay_judges_a_run(weighting):
    assert why_incomparable("val/loss", weighting(HEADS)) is None


def test_loss_weights_that_are_set_anew_change_as_well():
    weighting = FixedWeighting(HEADS)
    assert why_incomparable("val/loss", weighting, [NEW_RATE]) is None
    problem = why_incomparable("val/loss", weighting, [NEW_RATE, NEW_WEIGHT])
    assert problem == f"val/loss is weighted by loss weights that changes sets anew, {REMEDY}"


@pytest.mark.parametrize(
    "overrides",
    [["weighting=famo"], [changes_override([NEW_WEIGHT])]],
)
def test_a_run_is_not_judged_by_such_a_loss(small_run, overrides):
    config = compose_run([*small_run, *OF_A_LOSS, *overrides])
    with pytest.raises(ConfigError, match=r"^select\.metric: val/loss is weighted by .*, so that"):
        check_heads(config, read_heads_of(config)[0])


@pytest.mark.parametrize("weighting", ["fixed", "class_count"])
def test_a_run_may_be_judged_by_a_loss_with_weights_that_stay(small_run, weighting):
    config = compose_run([*small_run, *OF_A_LOSS, f"weighting={weighting}"])
    check_heads(config, read_heads_of(config)[0])


@pytest.mark.parametrize(
    ("overrides", "metric"),
    [([], "val/acc_mean"), (["model.primary_head=sum"], "val/sum_acc")],
)
def test_a_plateau_is_one_of_an_accuracy(overrides, metric):
    config = compose_run(["weighting=uncertainty", "scheduler=plateau", *overrides])
    module = build_part(config.model, "model")
    module.configure((3, 16, 16), HEADS)
    assert module.configure_optimizers()["lr_scheduler"]["monitor"] == metric


def test_no_callback_stops_a_run_or_keeps_its_checkpoints_but_the_one_that_is_told_a_metric(
    tmp_path,
):
    selection, cost = Selection("val/acc_mean", "max"), MeasureCost(60)
    reporter = ReportEpoch(tmp_path, selection, print, cost, repeats_last=False)
    trainer = build_trainer(compose_run(["weighting=uncertainty"]), [cost, reporter], None)
    assert trainer.checkpoint_callbacks == [reporter]
    assert trainer.early_stopping_callbacks == []
