import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mhray.errors import ConfigError, HeadMismatchError
from mhray.models.weighting import ClassCount, EqualWeighting, FixedWeighting, InverseLogClasses
from mhray.models.weighting_contract import WeightingContract

HEADS = {"left": 4, "right": 4, "sum": 7}
weights = st.floats(0, 1e6, width=32)
losses = st.lists(st.floats(0, 100, width=32), min_size=3, max_size=3)


class TestFixedWeighting(WeightingContract):
    reads_loss_weights = True

    def make(self, heads_config, loss_weights=None):
        return FixedWeighting(heads_config, loss_weights)


class TestEqualWeighting(WeightingContract):
    def make(self, heads_config, loss_weights=None):
        return EqualWeighting(heads_config, loss_weights)


class TestInverseLogClasses(WeightingContract):
    def make(self, heads_config, loss_weights=None):
        return InverseLogClasses(heads_config, loss_weights)


class TestClassCount(WeightingContract):
    def make(self, heads_config, loss_weights=None):
        return ClassCount(heads_config, loss_weights)


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        (EqualWeighting, [1.0, 1.0]),
        (ClassCount, [100.0, 20.0]),
        (InverseLogClasses, [0.21714724095162590, 0.33380820069533405]),  # numpy's 1 / log(C)
    ],
)
def test_weights_are_those_of_the_formula(weighting, expected):
    made = weighting({"fine": 100, "coarse": 20})
    assert made.is_constant
    torch.testing.assert_close(made.weights_in_use(), torch.tensor(expected))


@pytest.mark.parametrize(
    ("weighting", "typed", "expected"),
    [
        (FixedWeighting, {"fine": 3.0}, [1.5, 0.5]),
        (FixedWeighting, {"fine": 0.0, "coarse": 0.2}, [0.0, 2.0]),
        (ClassCount, None, [5 / 3, 1 / 3]),
        (InverseLogClasses, None, [0.7882572, 1.2117428]),
    ],
)
def test_normalised_weights_sum_to_the_number_of_heads(weighting, typed, expected):
    made = weighting({"fine": 100, "coarse": 20}, typed, normalise=True)
    torch.testing.assert_close(made.weights_in_use(), torch.tensor(expected), rtol=1e-5, atol=0)


def test_guessing_costs_one_on_every_head_under_inverse_log_classes():
    weighting = InverseLogClasses({"fine": 100, "coarse": 20})
    guessing = torch.tensor([math.log(100), math.log(20)])
    assert weighting(guessing).item() == pytest.approx(2.0)


def test_a_head_of_one_class_has_no_inverse_logarithm():
    with pytest.raises(ConfigError) as error:
        InverseLogClasses({"fine": 100, "only": 1})
    assert str(error.value) == (
        "model.weighting: InverseLogClasses divides by ln C, which is 0 for only, a head of one "
        "class; write another weighting, such as weighting=equal"
    )


@given(st.dictionaries(st.sampled_from(list(HEADS)), weights))
def test_weights_are_used_as_typed_and_the_rest_weigh_one(typed):
    assume(any({**dict.fromkeys(HEADS, 1.0), **typed}.values()))
    in_use = FixedWeighting(HEADS, typed).weights_in_use()
    assert in_use.tolist() == [typed.get(name, 1.0) for name in HEADS]


@given(losses, st.lists(weights, min_size=3, max_size=3))
def test_the_sum_is_weighted(losses, typed):
    assume(any(typed))
    weighting = FixedWeighting(HEADS, dict(zip(HEADS, typed, strict=True)))
    expected = sum(loss * weight for loss, weight in zip(losses, typed, strict=True))
    assert weighting(torch.tensor(losses)).item() == pytest.approx(expected, rel=1e-5)


def test_a_weight_for_an_unknown_head_lists_the_heads():
    with pytest.raises(HeadMismatchError) as error:
        FixedWeighting(HEADS, {"lft": 2.0})
    assert str(error.value) == (
        "model.loss_weights.lft: the data has no such head; did you mean left? "
        "(heads: left, right, sum)"
    )


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), "abc", None, True])
def test_a_weight_that_is_no_weight_is_refused(weight):
    with pytest.raises(ConfigError) as error:
        FixedWeighting(HEADS, {"left": weight})
    assert str(error.value) == (
        f"model.loss_weights.left: should be a number of at least 0, found {weight!r}"
    )


@pytest.mark.parametrize("weighting", [FixedWeighting, ClassCount, InverseLogClasses])
def test_weights_are_normalised_or_not(weighting):
    with pytest.raises(ConfigError) as error:
        weighting(HEADS, normalise="hot")
    assert str(error.value) == "model.weighting.normalise: should be true or false, found 'hot'"


def test_a_sum_of_which_nothing_would_be_learned_is_refused():
    with pytest.raises(ConfigError) as error:
        FixedWeighting(HEADS, dict.fromkeys(HEADS, 0))
    assert str(error.value) == (
        "model.loss_weights: every head weighs 0, so nothing would be learned; write a number "
        "above 0 for one of the heads: left, right, sum"
    )


@pytest.mark.parametrize(
    "weighting", [FixedWeighting, EqualWeighting, InverseLogClasses, ClassCount]
)
def test_weights_that_never_change_stay_out_of_checkpoints(weighting):
    assert dict(weighting(HEADS).state_dict()) == {}
