import pytest

from mhray.tuning.scheduler_rules import unfit_scheduler

WEIGHTS = {"simplex": ["left", "right"]}
POPULATION = {"scheduler": {"pbt": {}}, "sampler": {"random": {}}, "budget": {"trials": 8}}


@pytest.mark.parametrize(
    "search",
    [
        {"model.loss_weights": WEIGHTS},
        {"model.optimizer.lr": {"uniform": [0.1, 0.2]}},
        {"model.loss_weights": WEIGHTS, "model.optimizer.lr": {"log_uniform": [0.1, 0.2]}},
    ],
)
def test_a_population_changes_loss_weights_and_the_learning_rate(a_study, search):
    assert list(unfit_scheduler(a_study(**POPULATION, search=search))) == []


@pytest.mark.parametrize(
    ("path", "distribution"),
    [
        ("model", {"one_of": {"cnn": {}, "vit": {}}}),
        ("model.net.dropout", {"uniform": [0.0, 0.5]}),
        ("model.loss_weights.left", {"uniform": [0.5, 1.0]}),
        ("model.optimizer.lr", {"choice": [0.1, 0.2]}),
    ],
)
def test_nothing_else_is_searched_in_a_population(a_study, path, distribution):
    study = a_study(**POPULATION, search={path: distribution})
    reason = (
        "cannot be searched with pbt: who goes on from another trial's checkpoint goes on with its "
        "network, and all that changes is a simplex at model.loss_weights and a range at "
        "model.optimizer.lr; put it in base"
    )
    assert list(unfit_scheduler(study)) == [(("search", path), reason)]


@pytest.mark.parametrize(
    ("change", "location", "message"),
    [
        (
            {"sampler": {"tpe": {}}},
            ("sampler",),
            (
                "tpe cannot be combined with pbt: all trials of a population are drawn before one "
                "has ended to learn from; write {random: {}}"
            ),
        ),
        (
            {"resources": {"workers_per_trial": 2}},
            ("resources", "workers_per_trial"),
            (
                "should be 1 with pbt: trials pause and go on, and each time a worker group would "
                "be started anew; write 1"
            ),
        ),
        (
            {"resources": {"parallel_trials": 2}},
            ("resources", "parallel_trials"),
            (
                "should be auto with pbt: Ray counts those that pause, so that the others would "
                "wait for ever; write more per_worker.cpus to run fewer"
            ),
        ),
        (
            {"budget": {"trials": 3}},
            ("scheduler", "pbt", "quantile"),
            "0.25 of budget.trials, which is 3, is no whole trial; write more trials",
        ),
    ],
)
def test_what_a_population_cannot_be_combined_with_is_said(a_study, change, location, message):
    assert list(unfit_scheduler(a_study(**POPULATION | change))) == [(location, message)]
