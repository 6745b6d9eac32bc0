import pytest

from mhray.tuning.sampler_rules import unfit_sampler

RATE = {"model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]}}
SPACES = {"model": {"one_of": {"cnn": {}, "vit": {"model.net.dim": {"integer": [8, 64]}}}}}
NAMES = {"model": {"one_of": {"cnn": {}, "vit": {}}}}
FRONT = [{"maximize": "val/left_acc"}, {"maximize": "val/right_acc"}]
KINDS = ("qmc", "cmaes", "gp", "nsga2")


@pytest.fixture
def problems(a_study):
    def find(kind, **sections):
        study = a_study(sampler={kind: {}}, **{"budget": {"trials": 24}, **sections})
        return list(unfit_sampler(study))

    return find


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("search", [RATE, {**RATE, **NAMES}])
def test_a_space_that_all_trials_share_fits_every_sampler(problems, kind, search):
    assert problems(kind, search=search, objectives=FRONT) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_space_below_an_option_is_for_those_that_draw_step_by_step(problems, kind):
    message = (
        f"{kind} cannot draw what hangs on an option of model: it knows only what all trials draw, "
        "and would leave the rest to chance; write {tpe: {}}"
    )
    assert problems(kind, search={**RATE, **SPACES}, objectives=FRONT) == [(("sampler",), message)]


@pytest.mark.parametrize("kind", ["tpe", "random", "grid"])
def test_a_space_below_an_option_fits_tpe_random_and_grid(problems, kind):
    assert problems(kind, search=SPACES) == []


@pytest.mark.parametrize(("trials", "count"), [(16, 1), (17, 0)])
def test_a_population_is_smaller_than_the_budget(problems, trials, count):
    assert len(problems("nsga2", objectives=FRONT, budget={"trials": trials})) == count
