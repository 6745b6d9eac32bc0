import pytest
import torch
from torch import nn
from torchvision.models.efficientnet import MBConv
from torchvision.ops import SqueezeExcitation

from mhray.errors import ConfigError
from mhray.models.efficientnet import EfficientNet
from mhray.models.network_contract import MultiheadNetworkContract

HEADS = {"left": 4, "sum": 7}


class TestEfficientNet(MultiheadNetworkContract):
    def make(self, **arguments):
        return EfficientNet(**arguments)


def build(**arguments) -> EfficientNet:
    return EfficientNet(3, input_size=32, heads_config=HEADS, **arguments)


def blocks_of(net: EfficientNet) -> list[MBConv]:
    return [layer for layer in net.backbone if isinstance(layer, MBConv)]


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize(("size", "left"), [(16, 2), (32, 4), (48, 6)])
def test_three_halvings_are_left_to_pool(stem_stride, size, left):
    net = EfficientNet(3, stem_stride=stem_stride, input_size=size, heads_config=HEADS)
    pool = next(
        i for i, layer in enumerate(net.backbone) if isinstance(layer, nn.AdaptiveAvgPool2d)
    )
    assert net.backbone[:pool](torch.randn(1, 3, size, size)).shape == (1, 240, left, left)


def test_every_stage_has_its_width_and_as_many_blocks_as_the_others():
    blocks = blocks_of(build(width=16, blocks=2))
    assert [block.out_channels for block in blocks] == [16, 16, 24, 24, 40, 40, 80, 80]
    squeezed = [m for m in blocks[2].modules() if isinstance(m, SqueezeExcitation)]
    assert [(se.fc1.in_channels, se.fc1.out_channels) for se in squeezed] == [(64, 4)]


def test_a_width_that_is_no_multiple_of_eight_is_kept():
    assert [block.out_channels for block in blocks_of(build(width=6))] == [6, 9, 15, 30]


def test_the_kernel_is_that_of_every_block():
    depthwise = [m for m in build(kernel_size=5).modules() if isinstance(m, nn.Conv2d)]
    assert {conv.kernel_size for conv in depthwise if conv.groups > 1} == {(5, 5)}


def test_paths_are_dropped_more_often_the_deeper():
    rates = [block.stochastic_depth.p for block in blocks_of(build(drop_path=0.3))]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_with_one_block_a_stage_no_path_is_ever_dropped():
    blocks = blocks_of(build(blocks=1, drop_path=0.9))
    skippable = [block.stochastic_depth.p for block in blocks if block.use_res_connect]
    assert skippable == [0.0]


def test_weights_start_as_in_torchvision():
    conv = build(width=64).backbone[-4][0]
    assert conv.weight.std().item() == pytest.approx((2 / conv.out_channels) ** 0.5, rel=0.02)


def test_the_smallest_images_are_16x16():
    with pytest.raises(ConfigError) as error:
        EfficientNet().configure((3, 15, 32), HEADS)
    assert str(error.value) == (
        "model.net: EfficientNet halves each side three times, and the images are 15x32 pixels; "
        "write a data.data_dir whose images are 16x16 or larger, or another model.net"
    )


def test_wrong_arguments_are_told_at_once():
    with pytest.raises(ConfigError) as error:
        EfficientNet(width=0, expand_ratio="6", kernel_size=2, stem_stride=3)
    assert str(error.value) == (
        "model.net.width: should be a whole number of at least 1, found 0\n"
        "model.net.expand_ratio: should be a whole number of at least 1, found '6'\n"
        "model.net.kernel_size: should be an odd number of at least 1, found 2\n"
        "model.net.stem_stride: should be 1 or 2, found 3"
    )
