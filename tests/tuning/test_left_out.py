import pytest

from mhray.heads import Head
from mhray.training.run import compose_run
from mhray.tuning.left_out import (
    incomparable_heads,
    unfit_heads,
    unlogged_metrics,
    variants,
)

HEADS = (
    Head("coarse", 2, implied_by=("fine",)),
    Head("fine", 3),
    Head("other", 4),
)
LR = {"model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]}}
UNSUITED = "cannot judge runs, since model.train_heads leaves"


def found_in(study, heads=HEADS):
    """What is wrong, as the place and its message."""
    base = [f"{path}={value}" for path, value in study.base.items()]
    found = variants(study, compose_run, base)
    unfit = list(unfit_heads(study, found, heads))
    return unfit or list(unlogged_metrics(study, found, heads))


@pytest.mark.parametrize(
    ("base", "metric"),
    [
        ({}, "val/acc_mean"),
        ({"model.train_heads": "fine"}, "val/coarse_acc"),
        ({"model.train_heads": "fine", "model.primary_head": "coarse"}, "val/fine_loss"),
    ],
)
def test_a_metric_that_every_trial_logs_judges_them(a_study, base, metric):
    goal = {"minimize" if metric.endswith("loss") else "maximize": metric}
    study = a_study(base=base, search=LR, objectives=[goal], select=goal)
    assert found_in(study) == []


@pytest.mark.parametrize("metric", ["val/acc_mean", "val/acc_best", "val/other_acc"])
def test_a_metric_of_heads_that_are_left_out_judges_no_trial(a_study, metric):
    study = a_study(
        base={"model.train_heads": "fine"},
        search=LR,
        objectives=[{"maximize": "val/fine_acc"}],
        select={"maximize": metric},
    )
    message = f"{metric} {UNSUITED} other without a prediction; write val/fine_acc"
    assert found_in(study) == [(("select", "maximize"), message)]


def test_a_mean_is_an_objective_where_every_option_predicts_all_heads(a_study):
    search = {"model.train_heads": {"choice": [None, "fine"]}}
    assert found_in(a_study(search=search), HEADS[:2]) == []
    [(place, message), _] = found_in(a_study(search=search))
    assert place == ("objectives", 0, "maximize")
    assert message == f"val/acc_mean {UNSUITED} other without a prediction; write val/fine_acc"


@pytest.mark.parametrize(
    ("trained", "says"),
    [
        ([None, "fine"], []),
        (["fine", "other"], ["compares the heads that all trials predict, and there is none"]),
    ],
)
def test_heads_are_compared_if_all_trials_predict_one(a_study, trained, says):
    search = {"model.train_heads": {"choice": trained}}
    study = a_study(base={}, search=search, scheduler={"asha": {"by": "heads"}})
    found = variants(study, compose_run, [])
    problems = list(incomparable_heads(study, found, HEADS))
    where = ("scheduler", "asha", "by")
    assert problems == [(where, f"{message}; write select") for message in says]


GRID = {"grid": {"tune": ["model.optimizer.lr"]}}
ALONE = {
    "model.train_heads": {"choice": ["fine", "other"]},
    "model.optimizer.lr": {"choice": [0.1, 0.2]},
}


def test_the_rows_of_a_grid_may_predict_different_heads(a_study):
    assert found_in(a_study(search=ALONE, sampler=GRID)) == []


@pytest.mark.parametrize(
    "sections",
    [
        {"sampler": {"random": {}}},
        {"sampler": GRID, "scheduler": {"asha": {"grace_epochs": 1}}},
        {"sampler": {"grid": {"tune": ["model.train_heads"]}}},
    ],
)
def test_trials_that_are_ranked_may_not_predict_different_heads(a_study, sections):
    [(place, message), _] = found_in(a_study(search=ALONE, **sections))
    assert place == ("objectives", 0, "maximize")
    assert message == f"val/acc_mean {UNSUITED} other without a prediction; write val/fine_acc"


def test_an_objective_that_some_options_do_not_log_is_refused(a_study):
    goal = {"maximize": "val/fine_acc"}
    search = {"model.train_heads": {"choice": ["fine", "other"]}}
    [(place, message), _] = found_in(a_study(search=search, objectives=[goal], select=goal))
    assert place == ("objectives", 0, "maximize")
    assert message == (
        f"val/fine_acc {UNSUITED} coarse and fine without a prediction; write val/other_acc"
    )


@pytest.mark.parametrize(
    ("train_heads", "problem"),
    [
        ("fin", "the data has no such head; did you mean fine? (heads: coarse, fine, other)"),
        (
            "fine",
            (
                "model.loss_weights.other: model.train_heads leaves the head out, so its loss "
                "weighs nothing; take the loss weight out, or add other to model.train_heads"
            ),
        ),
    ],
)
def test_an_option_that_fits_no_head_or_not_the_searched_weights_is_named(
    a_study, train_heads, problem
):
    weight = {"model.loss_weights.other": {"uniform": [1, 2]}}
    options = {"model.train_heads": {"one_of": {train_heads: {}, "other": weight}}}
    assert found_in(a_study(base={}, search={**options, **weight}))[:1] == [
        (("search", "model.train_heads", "one_of", train_heads), problem)
    ]


def test_weights_that_are_searched_under_another_option_do_not_matter(a_study):
    weight = {"model.loss_weights.other": {"uniform": [1, 2]}}
    options = {"one_of": {"fine": {}, "other": weight}}
    study = a_study(search={"model.train_heads": options})
    assert list(unfit_heads(study, variants(study, compose_run, []), HEADS)) == []


def test_a_group_of_the_users_own_may_leave_heads_out(a_study, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "alone.yaml").write_text(
        "# @package _global_\nmodel: {train_heads: [fine]}\n"
    )
    search = {"experiment": {"choice": ["cifar100mh_cnn", "alone"]}}
    study = a_study(search=search, base={})
    found = variants(study, lambda overrides: compose_run(overrides, tmp_path), [])
    assert [variant.train_heads for variant in found] == [None, ["fine"], None]
