import pytest
import torch
from torch import nn

from mhray.errors import ConfigError
from mhray.models.cnn import SimpleCNN
from mhray.models.network_contract import MultiheadNetworkContract

HEADS = {"left": 4, "sum": 7}
SHAPES = [(1, 16, 16), (3, 32, 32), (2, 17, 23)]


def usual_form(net: SimpleCNN) -> nn.Sequential:
    """The same weights in the usual way of writing the backbone: NCHW, bias, ReLU, max-pool."""
    layers: list[nn.Module] = []
    for ours in net.backbone:
        if isinstance(ours, nn.Conv2d):
            conv = nn.Conv2d(ours.in_channels, ours.out_channels, 3, padding=1)
            conv.weight.data.copy_(ours.weight)
            norm = nn.BatchNorm2d(ours.out_channels)
            # What training would make of it: the bias is part of the mean.
            norm.running_mean.copy_(conv.bias.data)
            layers += [conv, norm, nn.ReLU(), nn.MaxPool2d(2)]
    linear = nn.Linear(net.backbone[-3].in_features, net.backbone[-3].out_features)
    linear.load_state_dict(net.backbone[-3].state_dict())
    return nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), linear, nn.ReLU())


class TestSimpleCNNWithGroupNorm(MultiheadNetworkContract):
    def make(self, **arguments):
        return SimpleCNN(dropout=0.0, norm="group", **arguments)


class TestSimpleCNN(MultiheadNetworkContract):
    def make(self, **arguments):
        return SimpleCNN(dropout=0.0, **arguments)


@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_and_gradients_equal_those_of_the_usual_form(shape):
    net = SimpleCNN(dropout=0.0)
    net.configure(shape, HEADS)
    usual = usual_form(net)
    images = torch.randn(6, *shape)
    weights = torch.randn(6, 96)
    for _ in range(2):
        ours, theirs = net.backbone(images), usual(images)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    for features in (ours, theirs):
        (features * weights).sum().backward()
    for at, their_at in ((1, 0), (5, 4), (-3, -2)):
        ours, theirs = net.backbone[at].weight.grad, usual[their_at].weight.grad
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_outputs_equal_those_of_the_usual_form_when_evaluated():
    net = SimpleCNN(3, input_size=32, heads_config=HEADS)
    usual = usual_form(net)
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(net.eval().backbone(images), usual.eval()(images))


def test_the_default_widths_have_66_thousand_parameters_for_100_and_20_classes():
    net = SimpleCNN(3, input_size=32, heads_config={"fine": 100, "coarse": 20})
    # The documented 66 072 less the 48 biases that BatchNorm makes superfluous.
    assert sum(p.numel() for p in net.parameters()) == 66_072 - 16 - 32


def test_the_smallest_images_are_8x8():
    SimpleCNN().configure((3, 8, 8), HEADS)
    with pytest.raises(ConfigError) as error:
        SimpleCNN().configure((3, 8, 6), HEADS)
    assert str(error.value) == (
        "model.net: SimpleCNN halves each side three times, and the images are 8x6 pixels; write "
        "a data.data_dir whose images are 8x8 or larger, or another model.net"
    )


def test_a_budget_scales_all_three_widths():
    net = SimpleCNN(3, input_size=32, heads_config=HEADS, parameter_budget=300_000)
    widths = [
        net.backbone[1].out_channels,
        net.backbone[5].out_channels,
        net.backbone[-3].out_features,
    ]
    assert net.width_scale > 2
    assert widths == [round(width * net.width_scale) for width in (16, 32, 96)]


def test_wrong_arguments_are_told_at_once():
    with pytest.raises(ConfigError) as error:
        SimpleCNN(conv1_channels=0, fc_hidden=1.5, dropout=1, norm="layer")
    assert str(error.value) == (
        "model.net.conv1_channels: should be a whole number of at least 1, found 0\n"
        "model.net.fc_hidden: should be a whole number of at least 1, found 1.5\n"
        "model.net.dropout: should be a number of at least 0 and below 1, found 1\n"
        "model.net.norm: should be batch or group, found 'layer'"
    )


def test_memory_layout_of_the_images_changes_nothing():
    net = SimpleCNN(3, input_size=16, heads_config=HEADS).eval()
    images = torch.randn(4, 3, 16, 16)
    plain, turned = net(images), net(images.to(memory_format=torch.channels_last))
    assert torch.equal(plain["sum"], turned["sum"])


def test_with_group_norm_an_image_is_trained_on_as_if_it_were_alone():
    net = SimpleCNN(3, input_size=16, heads_config=HEADS, dropout=0.0, norm="group").train()
    images = torch.randn(6, 3, 16, 16)
    alone = torch.cat([net(image.unsqueeze(0))["sum"] for image in images])
    torch.testing.assert_close(net(images)["sum"], alone, rtol=1e-4, atol=1e-5)
