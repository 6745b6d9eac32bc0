from functools import cache

import pytest

from mhray.heads import Head
from mhray.training.run import compose_run, weighting_of
from mhray.tuning.left_out import variants
from mhray.tuning.weightings import unfit_weightings

HEADS = (Head("left", 10), Head("right", 10))
SIMPLEX = {"model.loss_weights": {"simplex": ["left", "right"]}}
LR = {"model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]}}
LOSS = {"minimize": "val/loss"}


@cache
def composed(*overrides):
    """Composing takes a test's time, and several want the same."""
    return compose_run(overrides)


def found_in(study, config_dir=None):
    """What is wrong, as the place and its message."""

    def compose(overrides):
        return compose_run(overrides, config_dir) if config_dir else composed(*overrides)

    base = [f"{path}={value}" for path, value in study.base.items()]
    return list(unfit_weightings(study, variants(study, compose, base), HEADS, weighting_of))


def sets_itself(name):
    return (
        f"model.loss_weights: model.weighting is {name}, which sets the weights itself; take them "
        "out, or write weighting=fixed"
    )


@pytest.mark.parametrize(
    ("base", "search"),
    [
        ({}, SIMPLEX),
        ({"weighting": "dwa"}, LR),
        ({"model.loss_weights.left": 2}, LR),
        ({}, {"weighting": {"one_of": {"fixed": SIMPLEX, "dwa": {}}}}),
        ({}, {"weighting": {"choice": ["fixed", "stch", "famo", "rlw"]}}),
    ],
)
def test_loss_weights_go_with_fixed_weighting_and_with_no_other(a_study, base, search):
    assert found_in(a_study(base=base, search=search)) == []


@pytest.mark.parametrize(
    ("base", "search", "place"),
    [
        ({"weighting": "dwa", "model.loss_weights.left": 2}, LR, ("base", "weighting")),
        ({"weighting": "dwa"}, SIMPLEX, ("base", "weighting")),
        (
            {},
            {**SIMPLEX, "weighting": {"choice": ["fixed", "dwa"]}},
            ("search", "weighting", "choice", 1),
        ),
        (
            {"model.loss_weights.left": 2},
            {"weighting": {"choice": ["dwa", "fixed"]}},
            ("search", "weighting", "choice", 0),
        ),
        (
            {},
            {
                "model": {"one_of": {"cifar100mh_cnn": SIMPLEX, "cifar100mh_vit": {}}},
                "weighting": {"choice": ["fixed", "dwa"]},
            },
            ("search", "weighting", "choice", 1),
        ),
    ],
)
def test_loss_weights_beside_another_weighting_are_named_once(a_study, base, search, place):
    assert found_in(a_study(base=base, search=search)) == [(place, sets_itself("DWA"))]


def test_a_weighting_that_an_option_replaces_does_not_matter(a_study, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [{override /weighting: dwa}]\n"
    )
    options = {"weighting": {"one_of": {"fixed": SIMPLEX, "dwa": {}}}}
    models = {"model": {"choice": ["cifar100mh_cnn", "cifar100mh_vit"]}}
    study = a_study(base={"experiment": "mine"}, search={**options, **models})
    assert found_in(study, tmp_path) == []


@pytest.mark.parametrize(
    ("weighting", "argument", "value", "found"),
    [
        ("dwa", "temperature", [1.0, 0.0], "should be a number above 0, found 0.0"),
        ("stch", "warm_up_epochs", [1, 0], "should be a whole number, 1 or more, found 0"),
    ],
)
def test_an_argument_that_fits_no_weighting_is_named(a_study, weighting, argument, value, found):
    path = f"model.weighting.{argument}"
    study = a_study(base={"weighting": weighting}, search={path: {"choice": value}})
    assert found_in(study) == [(("search", path, "choice", 1), f"{path}: {found}")]


def test_all_that_is_wrong_with_a_weighting_comes_at_once(a_study):
    path = "model.weighting.temperature"
    search = {**SIMPLEX, path: {"choice": [0.0, 1.0]}}
    study = a_study(base={"weighting": "dwa"}, search=search, objectives=[LOSS])
    assert [place for place, _ in found_in(study)] == [
        ("base", "weighting"),
        ("search", path, "choice", 0),
    ]


@pytest.mark.parametrize("weighting", ["equal", "class_count"])
def test_a_loss_with_weights_that_stay_ranks_trials(a_study, weighting):
    study = a_study(base={"weighting": weighting}, search=LR, objectives=[LOSS], select=LOSS)
    assert found_in(study) == []


def test_a_loss_with_weights_that_change_is_no_objective_and_stops_no_trial(a_study):
    study = a_study(base={"weighting": "famo"}, search=LR, objectives=[LOSS], select=LOSS)
    message = (
        "val/loss is weighted by FAMO, whose weights change in training, so that no two epochs "
        "compare; write val/acc_mean or val/<head>_loss"
    )
    assert found_in(study) == [
        (("objectives", 0, "minimize"), message),
        (("select", "minimize"), message),
    ]


def test_files_that_weigh_the_losses_otherwise_have_no_common_loss(a_study, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "heavy.yaml").write_text(
        "# @package _global_\nmodel: {loss_weights: {left: 3}}\n"
    )
    search = {"experiment": {"choice": ["cifar100mh_cnn", "heavy"]}}
    study = a_study(base={}, search=search, objectives=[LOSS])
    assert found_in(study, tmp_path) == [
        (
            ("objectives", 0, "minimize"),
            (
                "val/loss is weighted otherwise under experiment=heavy than under "
                "experiment=cifar100mh_cnn, so that small weights win; write val/acc_mean or "
                "val/<head>_loss"
            ),
        )
    ]
