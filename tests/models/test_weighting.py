import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mhray.errors import ConfigError, HeadMismatchError
from mhray.models.weighting import FixedWeighting

HEADS = {"left": 4, "right": 4, "sum": 7}
weights = st.floats(0, 1e6, width=32)
losses = st.lists(st.floats(0, 100, width=32), min_size=3, max_size=3)


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


def test_gradients_are_the_weights():
    losses = torch.ones(3, requires_grad=True)
    FixedWeighting(HEADS, {"sum": 0.5})(losses).backward()
    assert losses.grad.tolist() == [1.0, 1.0, 0.5]


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


def test_a_sum_of_which_nothing_would_be_learned_is_refused():
    with pytest.raises(ConfigError) as error:
        FixedWeighting(HEADS, dict.fromkeys(HEADS, 0))
    assert str(error.value) == (
        "model.loss_weights: every head weighs 0, so nothing would be learned; write a number "
        "above 0 for one of the heads: left, right, sum"
    )


def test_weights_stay_out_of_checkpoints():
    assert dict(FixedWeighting(HEADS).state_dict()) == {}
