"""What every subclass of Weighting does: a suite of tests that a new one inherits.

A test module of a new weighting needs a class with one method::

    class TestMyWeighting(WeightingContract):
        def make(self, heads_config, loss_weights=None):
            return MyWeighting(heads_config, loss_weights)

Part of the package rather than of its tests, so that weightings of other projects can use it.
"""

import copy
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from mhray.errors import ConfigError
from mhray.models.weighting import Weighting

HEADS = {"left": 4, "right": 10, "sum": 7}
loss = st.floats(2**-7, 16, width=32)
# The losses (epochs, steps, heads) of a run.
runs = st.lists(
    st.lists(st.tuples(loss, loss, loss), min_size=2, max_size=2), min_size=3, max_size=3
)
# Each subclass runs the same test, which hypothesis warns of.
inherited = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)


class WeightingContract(ABC):
    """The tests; :meth:`make` says of what.

    Attributes:
        reads_loss_weights: whether the weights are the user's.
    """

    reads_loss_weights: ClassVar[bool] = False

    @abstractmethod
    def make(
        self, heads_config: Mapping[str, int], loss_weights: Mapping[str, float] | None = None
    ) -> Weighting:
        """A weighting with the settings that it has by default."""

    @inherited
    @given(runs)
    def test_a_heads_gradient_is_the_loss_gradient_times_the_weight_in_use(self, run: Any) -> None:
        weighting = self.make(HEADS)
        train(weighting, run)
        leaf = torch.tensor(run[0][0], requires_grad=True)
        (gradient,) = torch.autograd.grad(weighting(leaf), leaf)
        torch.testing.assert_close(gradient, weighting.weights_in_use(), rtol=1e-4, atol=1e-6)

    @inherited
    @given(runs)
    def test_weights_are_finite_and_none_is_negative(self, run: Any) -> None:
        weighting = self.make(HEADS)
        train(weighting, run)
        weights = weighting.weights_in_use()
        assert weights.shape == (len(HEADS),)
        assert not weights.requires_grad
        assert bool(weights.isfinite().all() and (weights >= 0).all())

    @inherited
    @given(runs)
    def test_a_run_goes_on_from_its_state_as_if_never_interrupted(self, run: Any) -> None:
        whole = self.make(HEADS)
        optimizer = train(whole, run[:-1])
        stored = in_a_file({"weighting": whole.state_dict(), "optimizer": optimizer.state_dict()})
        resumed = self.make(HEADS)
        resumed.load_state_dict(stored["weighting"])
        rest = {"start": len(run) - 1}
        train(whole, run, optimizer, **rest)
        again = optimizer_of(resumed)
        again.load_state_dict(stored["optimizer"])
        train(resumed, run, again, **rest)
        assert same_state(whole, resumed)
        assert torch.equal(whole.weights_in_use(), resumed.weights_in_use())

    @inherited
    @given(runs)
    def test_an_evaluation_changes_nothing_and_draws_nothing(self, run: Any) -> None:
        weighting = self.make(HEADS)
        train(weighting, run)
        before, random = copy.deepcopy(weighting), torch.get_rng_state()
        values = [weighting.eval()(torch.tensor(run[0][0])) for _ in range(2)]
        assert torch.equal(*values)
        assert same_state(weighting, before)
        assert torch.equal(weighting.weights_in_use(), before.weights_in_use())
        assert torch.equal(torch.get_rng_state(), random)

    @inherited
    @given(runs, st.permutations(range(len(HEADS))))
    def test_the_order_of_the_heads_is_without_meaning(self, run: Any, order: list[int]) -> None:
        names = list(HEADS)
        one, other = (self.make(HEADS), self.make({names[i]: HEADS[names[i]] for i in order}))
        train(one, run)
        train(other, [[[step[i] for i in order] for step in epoch] for epoch in run])
        expected = one.weights_in_use()[torch.tensor(order)]
        torch.testing.assert_close(other.weights_in_use(), expected, rtol=1e-3, atol=1e-5)

    @inherited
    @given(runs)
    def test_training_draws_none_of_torchs_random_numbers(self, run: Any) -> None:
        weighting, random = self.make(HEADS), torch.get_rng_state()
        train(weighting, run)
        assert torch.equal(torch.get_rng_state(), random)

    @inherited
    @given(st.lists(loss, min_size=1, max_size=4))
    def test_one_head_alone_is_trained(self, run: Any) -> None:
        weighting = self.make({"sum": 7})
        train(weighting, [[[loss]] for loss in run])
        assert bool(weighting.weights_in_use() > 0)

    @inherited
    @given(st.lists(st.sampled_from([0.0, 1e-30, 1.0]), min_size=3, max_size=3))
    def test_losses_of_zero_leave_no_weight_that_is_not_finite(self, run: Any) -> None:
        weighting = self.make(HEADS)
        train(weighting, [[run], [run], [[1.0, 1.0, 1.0]]])
        assert bool(weighting.weights_in_use().isfinite().all())

    def test_loss_weights_are_read_or_refused(self) -> None:
        if self.reads_loss_weights:
            assert self.make(HEADS, {"sum": 2.0}).weights_in_use().tolist() == [1.0, 1.0, 2.0]
            return
        weighting = type(self.make(HEADS, {}))
        with pytest.raises(ConfigError) as error:
            self.make(HEADS, {"sum": 2.0})
        assert str(error.value) == (
            f"model.loss_weights: model.weighting is {weighting.__name__}, which sets the weights "
            "itself; take them out, or write weighting=fixed"
        )


def train(
    weighting: Weighting, run: Any, optimizer: torch.optim.Optimizer | None = None, start: int = 0
) -> torch.optim.Optimizer:
    """Trains on these losses, epoch by epoch, as the training loop does."""
    optimizer = optimizer or optimizer_of(weighting)
    weighting.train()
    for epoch in range(start, len(run)):
        weighting.begin_epoch(epoch)
        for step in run[epoch]:
            optimizer.zero_grad()
            torch.autograd.backward(weighting(torch.tensor(step, requires_grad=True)))
            optimizer.step()
        weighting.end_epoch(torch.tensor(run[epoch]).mean(0).tolist())
    return optimizer


def optimizer_of(weighting: Weighting) -> torch.optim.Optimizer:
    """What trains a weighting that learns."""
    return torch.optim.Adam([*weighting.parameters(), torch.zeros(1, requires_grad=True)], lr=0.01)


def in_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """What comes back of it from a checkpoint."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def same_state(one: Weighting, other: Weighting) -> bool:
    """Whether two weightings would leave the same in a checkpoint."""
    ones, others = one.state_dict(), other.state_dict()
    return list(ones) == list(others) and all(same(ones[key], others[key]) for key in ones)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, NaN to NaN too."""
    if isinstance(one, Tensor):
        return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
    return bool(one == other)
