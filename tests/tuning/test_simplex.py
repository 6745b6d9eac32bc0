import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from mhray.errors import ConfigError, HeadMismatchError
from mhray.tuning.space import baseline, draw, parse_space, resolve_heads

UNITS = st.lists(st.floats(0, 1), min_size=1, max_size=9)


def weights(us, **options):
    names = [f"head_{index}" for index in range(len(us) + 1)]
    space = parse_space({"w": {"simplex": names, **options}})
    fixed = {f"w.{name}.u": u for name, u in zip(names, us, strict=False)}
    return list(draw(space, FixedTrial(fixed)).values())


@given(UNITS, st.floats(0, 0.99))
def test_weights_sum_to_their_number_and_keep_their_floor(us, floor):
    drawn = weights(us, floor=floor)
    assert sum(drawn) == pytest.approx(len(drawn))
    assert min(drawn) >= floor * (1 - 1e-11)


@given(UNITS, st.floats(1e-3, 1e3))
def test_weights_sum_to_the_total(us, total):
    assert sum(weights(us, total=total)) == pytest.approx(total)


@pytest.mark.parametrize("count", [2, 3, 7, 100])
@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_the_baseline_has_weights_of_exactly_one(count, floor):
    heads = [f"head-{index}" for index in range(count)]
    raw = parse_space({"model.loss_weights": {"simplex": "heads", "floor": floor}})
    space = resolve_heads(raw, heads)
    drawn = draw(space, FixedTrial(baseline(space, {}.get)))
    assert drawn == {f"model.loss_weights.{head}": 1.0 for head in heads}


def test_shares_have_the_moments_of_the_uniform_simplex():
    space = parse_space({"w": {"simplex": ["a", "b", "c"], "total": 1}})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    rows = [list(draw(space, study.ask()).values()) for _ in range(1500)]
    for column in zip(*rows, strict=True):
        mean = sum(column) / len(column)
        assert mean == pytest.approx(1 / 3, abs=0.02)
        # Dirichlet(1, 1, 1) has variance 1/18 in each direction.
        assert sum((w - mean) ** 2 for w in column) / len(column) == pytest.approx(
            1 / 18, abs=0.006
        )


def test_k_weights_take_k_minus_one_draws():
    study = optuna.create_study()
    trial = study.ask()
    draw(parse_space({"w": {"simplex": ["a", "b", "c"]}}), trial)
    assert list(trial.params) == ["w.a.u", "w.b.u"]


def refusal(raw, heads):
    with pytest.raises(ConfigError) as caught:
        resolve_heads(parse_space({"model.loss_weights": raw}), heads)
    return caught.value


def test_a_name_that_is_no_head_is_refused():
    error = refusal({"simplex": ["left", "rigth"]}, ["left", "right"])
    assert isinstance(error, HeadMismatchError)
    assert str(error) == (
        "model.loss_weights.simplex[1]: the data has no such head; did you mean right? "
        "(heads: left, right)"
    )


def test_a_simplex_elsewhere_may_name_anything():
    space = parse_space({"data.mix": {"simplex": ["night", "day"]}})
    assert resolve_heads(space, ["left", "right"]) == space


def test_floors_are_checked_once_the_heads_are_known():
    assert str(refusal({"simplex": "heads", "floor": 0.5, "total": 1}, ["a", "b", "c"])) == (
        "model.loss_weights: 3 weights of at least 0.5 cannot sum to 1; "
        "write a floor below 0.333333"
    )


def test_one_head_has_nothing_to_share():
    assert str(refusal({"simplex": "heads"}, ["a"])) == (
        "model.loss_weights: shares nothing out, since the data have one head; "
        "take it out of search"
    )


def test_the_heads_must_be_known_before_a_draw():
    with pytest.raises(ConfigError, match="call resolve_heads first"):
        draw(parse_space({"w": {"simplex": "heads"}}), FixedTrial({}))


HEADS = [f"head-{index}" for index in range(9)]


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=9), st.floats(0, 0.9), st.floats(0.1, 9))
def test_given_weights_are_drawn_in_their_proportions_above_the_floor(given, floor, mean):
    names, count = HEADS[: len(given)], len(given)
    space = parse_space({"w": {"simplex": names, "floor": floor * mean, "total": mean * count}})
    values = dict(zip([f"w.{name}" for name in names], given, strict=True))
    drawn = list(draw(space, FixedTrial(baseline(space, values.get))).values())
    assert sum(drawn) == pytest.approx(mean * count)
    assert min(drawn) >= floor * mean * (1 - 1e-9)
    free = [new / old for new, old in zip(drawn, given, strict=True) if new > floor * mean * 1.001]
    assert max(free) == pytest.approx(min(free), rel=1e-6)


@pytest.mark.parametrize("given", [{"w.a": 0.0, "w.b": 0.0}, {"w.a": 1.0}, {"w.a": "x", "w.b": 1}])
def test_what_cannot_be_weights_leaves_them_equal(given):
    space = parse_space({"w": {"simplex": ["a", "b"]}})
    drawn = draw(space, FixedTrial(baseline(space, given.get)))
    assert drawn == {"w.a": 1.0, "w.b": 1.0}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"w.a": 1.5, "w.b": 0.5}, []),
        ({"w.a": 1.4999, "w.b": 0.5}, []),
        ({}, []),
        ({"w.a": 0, "w.b": 0}, [("w", "has weights that sum to 0, not 2; write w.a: 1, w.b: 1")]),
        ({"w.a": True}, [("w.a", "should be a number of at least 0, not true")]),
    ],
)
def test_weights_have_to_sum_to_their_total(given, says):
    simplex = parse_space({"w": {"simplex": ["a", "b"]}})["w"]
    assert list(simplex.refusals("w", given)) == says
