"""What every subclass of MultiheadNetwork does: a suite of tests that a new one inherits.

A test module of a new network needs a class with one method::

    class TestMyNetwork(MultiheadNetworkContract):
        def make(self, **arguments):
            return MyNetwork(**arguments)

Part of the package rather than of its tests, so that networks of other projects can use it.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from mhray.errors import ConfigError
from mhray.models.budget import TOLERANCE
from mhray.models.classifiers import ImageShape, MultiheadNetwork

HEADS = {"left": 4, "right": 3, "sum": 7}
SHAPES: list[ImageShape] = [(1, 16, 16), (3, 32, 32), (4, 64, 64), (3, 24, 48), (2, 17, 19)]


class MultiheadNetworkContract(ABC):
    """The tests; :meth:`make` says of what.

    Attributes:
        budget: parameters that some width has with three small heads on 32x32 images, and another
            three times as many.
    """

    budget: ClassVar[int] = 64_000

    @abstractmethod
    def make(self, **arguments: Any) -> MultiheadNetwork:
        """A network, small and without anything random in its forward pass."""

    @pytest.fixture(autouse=True)
    def _seeded(self) -> Iterator[None]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield

    @pytest.fixture
    def net(self) -> MultiheadNetwork:
        """The network for images of 32x32 pixels."""
        return self.make(input_channels=3, input_size=32, heads_config=HEADS)

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_images_of_any_shape_give_finite_logits(self, shape: ImageShape) -> None:
        net = self.make()
        net.configure(shape, HEADS)
        logits = net(torch.randn(5, *shape))
        assert {name: tuple(of_head.shape) for name, of_head in logits.items()} == {
            name: (5, classes) for name, classes in HEADS.items()
        }
        assert all(of_head.isfinite().all() for of_head in logits.values())

    def test_no_network_is_built_for_a_single_pixel(self) -> None:
        net = self.make()
        with pytest.raises(ConfigError, match=r"^model\.net.*: .*; write "):
            net.configure((3, 1, 1), HEADS)
        assert net.image_shape is None
        assert list(net.parameters()) == []

    def test_gradients_reach_every_parameter(self, net: MultiheadNetwork) -> None:
        # Two steps: what starts at zero hides what is in front of it from the first.
        for _ in range(2):
            logits = net(torch.randn(8, 3, 32, 32))
            losses = torch.stack([_loss(of_head) for of_head in logits.values()])
            torch.autograd.backward(losses.sum())
            reached = {name for name, p in net.named_parameters() if _is_nonzero(p.grad)}
            torch.optim.SGD(net.parameters(), lr=0.1).step()
        assert reached == {name for name, _ in net.named_parameters()}

    def test_the_loss_of_a_head_leaves_the_others_alone(self, net: MultiheadNetwork) -> None:
        torch.autograd.backward(_loss(net(torch.randn(4, 3, 32, 32))["right"]))
        assert all(_is_nonzero(parameter.grad) for parameter in net.heads["right"].parameters())
        others = [*net.heads["left"].parameters(), *net.heads["sum"].parameters()]
        assert all(parameter.grad is None for parameter in others)

    def test_a_changed_head_changes_no_other_logits(self, net: MultiheadNetwork) -> None:
        images = torch.randn(4, 3, 32, 32)
        before = net.eval()(images)
        for parameter in net.heads["right"].parameters():
            nn.init.constant_(parameter, 3.0)
        after = net(images)
        assert [name for name in HEADS if not torch.equal(before[name], after[name])] == ["right"]

    def test_the_state_goes_into_a_network_of_another_seed(self, net: MultiheadNetwork) -> None:
        other = self.make()
        other.configure((3, 32, 32), HEADS)
        images = torch.randn(4, 3, 32, 32)
        assert not _agree(net.eval()(images), other.eval()(images))
        other.load_state_dict(net.state_dict())
        assert _agree(net(images), other(images))

    def test_the_seed_decides_the_parameters_whenever_the_layers_are_built(
        self, net: MultiheadNetwork
    ) -> None:
        torch.manual_seed(0)
        later = self.make()
        torch.rand(100)
        later.configure((3, 32, 32), HEADS)
        images = torch.randn(4, 3, 32, 32)
        assert _same_state(net.state_dict(), later.state_dict())
        assert _agree(net(images), later(images))

    def test_an_evaluation_changes_nothing(self, net: MultiheadNetwork) -> None:
        before, images = copy.deepcopy(net.state_dict()), torch.randn(4, 3, 32, 32)
        kept = images.clone()
        first, second = net.eval()(images), net(images)
        assert _agree(first, second)
        assert _same_state(before, net.state_dict())
        assert torch.equal(images, kept)

    def test_an_image_has_the_logits_alone_that_it_has_in_a_batch(
        self, net: MultiheadNetwork
    ) -> None:
        images = torch.randn(6, 3, 32, 32)
        together = net.eval()(images)
        alone = [net(image.unsqueeze(0)) for image in images]
        for name, logits in together.items():
            one_by_one = torch.cat([each[name] for each in alone])
            torch.testing.assert_close(one_by_one, logits, rtol=1e-4, atol=1e-5)

    def test_a_parameter_budget_is_kept_within_its_tolerance(self) -> None:
        net = self.make(parameter_budget=self.budget)
        net.configure((3, 32, 32), HEADS)
        count = sum(parameter.numel() for parameter in net.parameters())
        assert abs(count - self.budget) <= TOLERANCE * self.budget
        assert list(net(torch.randn(2, 3, 32, 32))) == list(HEADS)

    def test_a_budget_is_solved_the_same_way_always_and_draws_no_random_numbers(self) -> None:
        ones, others = (self.make(parameter_budget=3 * self.budget) for _ in range(2))
        ones.configure((3, 32, 32), HEADS)
        before = torch.get_rng_state()
        others.configure((3, 32, 32), HEADS)
        assert torch.equal(torch.get_rng_state(), before)
        assert ones.width_scale == others.width_scale
        others.load_state_dict(ones.state_dict())

    def test_a_budget_that_no_width_meets_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(ConfigError, match=r"^model\.net\.parameter_budget: 1, .*; write \d+$"):
            self.make(parameter_budget=1).configure((3, 32, 32), HEADS)


def _loss(logits: Tensor) -> Tensor:
    """What has a gradient in every class."""
    return logits.square().sum() + logits.sum()


def _is_nonzero(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.any())


def _agree(ones: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    return all(torch.equal(ones[name], others[name]) for name in HEADS)


def _same_state(ones: dict[str, Any], others: dict[str, Any]) -> bool:
    return list(ones) == list(others) and all(torch.equal(ones[key], others[key]) for key in ones)
