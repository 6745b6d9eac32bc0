import copy

import pytest
import torch
from torch import nn

from mhray.models.cnn import SimpleCNN
from mhray.training import cost
from mhray.training.cost import MeasureCost, mflop_per_image
from mhray.training.parts import build, build_trainer
from mhray.training.run import compose_run


def simple_cnn():
    net = SimpleCNN(3, 4, 8, 16, input_size=32, heads_config={"fine": 100, "coarse": 20})
    return net.train()


def test_a_multiply_add_is_two_operations():
    convolutions = 32 * 32 * 4 * 3 * 9 + 16 * 16 * 8 * 4 * 9
    linear = 8 * 4 * 4 * 16 + 16 * 120
    assert mflop_per_image(simple_cnn(), (3, 32, 32)) == 2 * (convolutions + linear) / 1e6


class Attention(nn.Module):
    """Attention over 16 patches of a 4x4 image, with 8 features each."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, num_heads=2, batch_first=True)

    def forward(self, images):
        patches = images.flatten(2).transpose(1, 2)
        return self.attention(patches, patches, patches, need_weights=False)[0]


def test_attention_counts():
    projections, products = 4 * 16 * 8 * 8, 2 * 16 * 16 * 8
    assert mflop_per_image(Attention(), (8, 4, 4)) == 2 * (projections + products) / 1e6


def test_counting_leaves_the_network_as_it_was():
    net, drawn = simple_cnn(), torch.get_rng_state()
    before = copy.deepcopy(net.state_dict())
    mflop_per_image(net, (3, 32, 32))
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)
    assert all(module.training for module in net.modules())
    assert torch.equal(torch.get_rng_state(), drawn)


class Clock:
    """Stands still but for a second at each of a step's and of a validation step's ends."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds

    def tick(self, *_):
        self.seconds += 1.0


@pytest.mark.parametrize(("limit", "images", "steps"), [("null", 540, 9), (2, 120, 2)])
def test_images_per_second_are_those_of_training_alone(
    small_run, monkeypatch, tmp_path, limit, images, steps
):
    clock, measured = Clock(), MeasureCost(60)
    monkeypatch.setattr(cost, "time", clock)
    measured.on_train_batch_end = measured.on_validation_batch_end = clock.tick
    monkeypatch.chdir(tmp_path)
    config = compose_run([*small_run, f"trainer.limit_train_batches={limit}"])
    datamodule, module = build(config)
    build_trainer(config, [measured], None).fit(module, datamodule=datamodule)
    assert clock.seconds > 2 * steps
    assert measured.images_per_second == images / steps
