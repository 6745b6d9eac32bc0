import pytest
from optuna.trial import FixedTrial

from mhray.heads import Head
from mhray.training.trial_files import TrialFiles
from mhray.tuning.enqueued import first_trials
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.search import SearchPlan, StudySearch
from mhray.tuning.space import draw

HEADS = (Head("left", 10), Head("sum", 19), Head("pair", 100))
WEIGHTS = {"simplex": ["left", "sum", "pair"], "floor": 0.3}
SEARCH = {"model.loss_weights": WEIGHTS, "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]}}
OPTIONS = {
    "model": {"one_of": {"cnn": {}, "vit": {"model.net.dim": {"integer": [8, 64]}}}},
    "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
}


def compose(overrides):
    """The config of a network that has a rate of its own."""
    rate = 2e-3 if "model=vit" in overrides else 5e-4
    return {"model": {"optimizer": {"lr": rate}, "net": {"dim": 48}}}


def drawn(study, parameters):
    return draw(study.search, FixedTrial(parameters))


@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        ("equal", [1.0, 1.0, 1.0]),
        # 1/ln C, in their proportions.
        ("inverse_log_classes", [1.31463, 1.02806, 0.65731]),
        # C: 10 of 129 would weigh 0.23, below the floor; 19 and 100 share out the rest.
        ("class_count", [0.3, 0.431092, 2.26891]),
    ],
)
def test_a_rule_says_what_heads_weigh_and_trial_0_the_rest(a_study, rule, weights):
    study = a_study(search=SEARCH, enqueue=[rule])
    baseline, given = (drawn(study, one) for one in first_trials(study, HEADS, compose))
    found = [given[f"model.loss_weights.{head.name}"] for head in HEADS]
    assert found == pytest.approx(weights, rel=1e-5)
    assert given["model.optimizer.lr"] == baseline["model.optimizer.lr"] == 5e-4


def test_weights_may_be_given_as_they_are(a_study):
    weights = dict(zip([f"model.loss_weights.{h.name}" for h in HEADS], (2, 0.6, 0.4), strict=True))
    study = a_study(search=SEARCH, enqueue=[{**weights, "model.optimizer.lr": 3e-3}])
    _, given = first_trials(study, HEADS, compose)
    assert drawn(study, given) == {**weights, "model.optimizer.lr": 3e-3}


@pytest.mark.parametrize("scheduler", [None, {"asha": {"within": "model"}}])
def test_a_given_option_brings_its_own_config(a_study, scheduler):
    given = [{"model": "vit", "model.net.dim": 16}, {"model": "vit"}, {"model.optimizer.lr": 1e-3}]
    study = a_study(search=OPTIONS, scheduler=scheduler, enqueue=given)
    trials = [drawn(study, parameters) for parameters in first_trials(study, HEADS, compose)]
    rate = "model.optimizer.lr"
    assert trials[-3:] == [
        {"model": "vit", "model.net.dim": 16, rate: 2e-3},
        {"model": "vit", "model.net.dim": 48, rate: 2e-3},
        {"model": "cnn", rate: 1e-3},
    ]
    assert len(trials) == (4 if scheduler is None else 5)


def test_given_trials_come_after_the_baseline_and_none_twice(a_study, tmp_path):
    given = ["equal", "class_count", {"model.optimizer.lr": 5e-4}, {"model.optimizer.lr": 2e-3}]
    study = a_study(search=SEARCH, enqueue=given)
    journal = Journal.open(study, tmp_path)
    for _ in range(2):  # the sweep was killed before it asked for a trial
        for parameters in first_trials(study, HEADS, compose):
            journal.enqueue(parameters)
    plan = SearchPlan(9, 12345, TrialFiles(str(tmp_path)), lambda _: "")
    search = StudySearch(study, journal, plan, [], Guard())
    found = [search.suggest(str(number))["overrides"] for number in range(3)]
    assert [overrides[1] for overrides in found] == [
        "model.loss_weights.left=1.0",
        "model.loss_weights.left=0.3",
        "model.loss_weights.left=1.0",
    ]
    rates = [overrides[-1].partition("=")[2] for overrides in found]
    assert rates == ["0.0005", "0.0005", "0.002"]
    assert "WAITING" not in [trial.state.name for trial in journal._study.trials]
