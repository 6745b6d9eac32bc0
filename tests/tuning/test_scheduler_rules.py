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


@pytest.mark.parametrize("kind", ["random", "qmc"])
def test_a_population_is_drawn_by_a_sampler_that_learns_nothing(a_study, kind):
    assert list(unfit_scheduler(a_study(**POPULATION | {"sampler": {kind: {}}}))) == []


@pytest.mark.parametrize("kind", ["tpe", "cmaes", "gp", "nsga2"])
def test_a_population_is_drawn_by_no_sampler_that_learns(a_study, kind):
    reason = "all trials of a population are drawn before one has ended to learn from"
    message = (
        f"{kind} cannot be combined with pbt: {reason}; write {{random: {{}}}} or {{qmc: {{}}}}"
    )
    study = a_study(**POPULATION | {"sampler": {kind: {}}})
    assert list(unfit_scheduler(study)) == [(("sampler",), message)]


def test_a_population_is_drawn_from_no_grid(a_study):
    message = (
        "grid cannot be combined with pbt: who takes over goes on with values that no grid has; "
        "write {random: {}} or {qmc: {}}"
    )
    study = a_study(**POPULATION | {"sampler": {"grid": {}}})
    assert list(unfit_scheduler(study)) == [(("sampler",), message)]
