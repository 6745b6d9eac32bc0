import math

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from mhray.errors import HeadMismatchError
from mhray.tuning.space import (
    baseline,
    combinations,
    draw,
    format_override,
    parse_space,
    resolve_heads,
    value_at,
    walk,
)

CONDITIONAL = {
    "model": {
        "one_of": {
            "cnn": {"model.lr": {"uniform": [0, 1]}, "model.depth": {"integer": [1, 3]}},
            "vit": {"model.lr": {"uniform": [5, 6]}},
        }
    },
    "data.crop": {"choice": [None, 4, True, "random"]},
}
FLAT = {
    "a": {"uniform": [0, 1]},
    "b": {"log_uniform": [1e-4, 1e-2]},
    "c": {"integer": [2, 5]},
    "d": {"choice": ["x", None, 3]},
}


def random_trials(count):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [study.ask() for _ in range(count)]


def drawn_many(raw):
    return [draw(parse_space(raw), trial) for trial in random_trials(40)]


def test_draws_stay_in_their_ranges():
    for drawn in drawn_many(FLAT):
        assert 0 <= drawn["a"] <= 1
        assert 1e-4 <= drawn["b"] <= 1e-2
        assert drawn["c"] in (2, 3, 4, 5)
        assert drawn["d"] in ("x", None, 3)


def test_a_logarithmic_range_is_drawn_evenly_in_its_logarithm():
    logs = [math.log10(drawn["b"]) for drawn in drawn_many(FLAT)]
    assert sum(logs) / len(logs) == pytest.approx(-3, abs=0.3)


def test_an_option_draws_from_its_own_space_only():
    for drawn in drawn_many(CONDITIONAL):
        is_cnn = drawn["model"] == "cnn"
        assert list(drawn) == ["model", "model.lr", *["model.depth"] * is_cnn, "data.crop"]
        assert (drawn["model.lr"] <= 1) == is_cnn


def test_every_combination_of_choices_and_options_is_had_once():
    inside = {"model.depth": {"choice": [1, True]}}
    space = parse_space({"model": {"one_of": {"vit": {}, "cnn": inside}}, "a": {"choice": [2, 3]}})
    models = [
        {"model": "vit"},
        {"model": "cnn", "model=cnn/model.depth": "1"},
        {"model": "cnn", "model=cnn/model.depth": "true"},
    ]
    assert combinations(space) == [{**model, "a": a} for a in (2, 3) for model in models]


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_range_has_no_combinations(name):
    assert combinations(parse_space({name: FLAT[name]})) == []


def test_options_have_names_of_their_own_in_the_study():
    names = {name for trial in random_trials(20) for name in _asked(CONDITIONAL, trial)}
    scoped = {"model=cnn/model.lr", "model=cnn/model.depth", "model=vit/model.lr"}
    assert names == {"model", "data.crop", *scoped}


def _asked(raw, trial):
    draw(parse_space(raw), trial)
    return trial.params


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, [0.5, 1e-3, 3, None]),
        ({"a": 0.2, "b": 5e-4, "c": 4, "d": 3}, [0.2, 5e-4, 4, 3]),
        ({"a": -7, "b": 1, "c": 99, "d": "z"}, [0, 1e-2, 5, "x"]),
        ({"a": "text", "b": True, "c": 2.6, "d": "x"}, [0.5, 1e-3, 3, "x"]),
    ],
)
def test_the_baseline_is_the_config_clipped_into_its_ranges(config, expected):
    assert list(baseline(parse_space(FLAT), config.get).values()) == pytest.approx(expected)


def test_the_baseline_takes_the_first_choice_if_the_config_has_another():
    raw = {"d": {"choice": ["x", "y"]}}
    assert baseline(parse_space(raw), {}.get) == {"d": "x"}


def test_true_is_another_choice_than_one():
    raw = {"d": {"choice": [1, True]}}
    drawn = {(trial["d"], trial.pop("d") is True) for trial in drawn_many(raw)}
    assert drawn == {(1, False), (True, True)}


@pytest.mark.parametrize("value", [1, True])
def test_the_baseline_tells_true_from_one(value):
    space = parse_space({"d": {"choice": [0, 1, True]}})
    study = optuna.create_study()
    study.enqueue_trial(baseline(space, {"d": value}.get))
    assert draw(space, study.ask())["d"] is value


def test_the_baseline_takes_the_first_option():
    config = {"model": "vit", "model.lr": 0.25, "model.depth": 2}
    assert baseline(parse_space(CONDITIONAL), config.get) == {
        "model": "cnn",
        "model=cnn/model.lr": 0.25,
        "model=cnn/model.depth": 2,
        "data.crop": None,
    }


def test_single_loss_weights_are_equal_in_the_baseline():
    path = "model.loss_weights.left"
    space = parse_space({path: {"log_uniform": [0.1, 10]}})
    assert baseline(space, {path: 3.0}.get) == {path: 1.0}


@pytest.mark.parametrize("raw", [FLAT, CONDITIONAL])
def test_the_enqueued_baseline_is_what_trial_0_draws(raw):
    parameters = baseline(parse_space(raw), {"model.lr": 0.3, "b": 2e-3}.get)
    study = optuna.create_study()
    study.enqueue_trial(parameters)
    assert _asked(raw, study.ask()) == parameters


def test_heads_are_filled_in_inside_options_too():
    raw = {"model": {"one_of": {"a": {"model.loss_weights": {"simplex": "heads"}}, "b": {}}}}
    space = resolve_heads(parse_space(raw), ["left", "right"])
    inner = [entry for entry in walk(space) if entry.path == "model.loss_weights"]
    assert inner[0].distribution.simplex == ("left", "right")
    assert inner[0].active == ("model=a",)


def test_a_single_loss_weight_of_no_head_is_refused():
    space = parse_space({"model.loss_weights.lft": {"uniform": [0, 1]}})
    with pytest.raises(HeadMismatchError) as caught:
        resolve_heads(space, ["left", "right"])
    assert str(caught.value) == (
        "model.loss_weights.lft: the data has no such head; did you mean left? (heads: left, right)"
    )


def test_a_space_survives_json():
    space = parse_space(FLAT | CONDITIONAL | {"w": {"simplex": ["a", "b"], "floor": 0.1}})
    dumped = {path: distribution.model_dump(mode="json") for path, distribution in space.items()}
    assert parse_space(dumped) == space


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text(alphabet="'\"\\${}a= ,:[](/")
    | st.sampled_from(["null", "TRUE", "inf", "NaN", "1e-4", "10", "", "on", "a/b.c", "-1", "~"])
)
def test_hydra_reads_an_override_back_as_the_same_value(value):
    override = format_override("model.net.key", value)
    parsed = OverridesParser.create().parse_override(override)
    assert parsed.key_or_group == "model.net.key"
    assert (type(parsed.value()), parsed.value()) == (type(value), value)


@pytest.mark.parametrize("word", ["cifar100mh_cnn", "val/acc_mean", "data/my-set.v1", "1GiB"])
def test_plain_words_need_no_quotes(word):
    assert format_override("key", word) == f"key={word}"


def test_a_path_that_a_config_lacks_has_no_value():
    config = {"trainer": {"max_epochs": 3}, "model": {"sizes": [1, 2]}}
    paths = ["trainer.max_epochs", "++trainer.max_epochs", "trainer", "x.y", "model.sizes"]
    assert [value_at(config, path) for path in paths] == [3, 3, None, None, None]
