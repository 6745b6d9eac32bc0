import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from mhray.errors import ConfigError
from mhray.models.convnext import ConvNeXt, GlobalResponseNorm
from mhray.models.network_contract import MultiheadNetworkContract

HEADS = {"left": 4, "sum": 7}


class TestConvNeXt(MultiheadNetworkContract):
    def make(self, **arguments):
        return ConvNeXt(**arguments)


def build(**arguments) -> ConvNeXt:
    return ConvNeXt(3, input_size=32, heads_config=HEADS, **arguments)


def papers_norm(images: torch.Tensor, norm: GlobalResponseNorm) -> torch.Tensor:
    """Algorithm 1 of Woo et al. 2023, line by line."""
    gx = torch.norm(images, p=2, dim=(1, 2), keepdim=True)
    nx = gx / (gx.mean(dim=-1, keepdim=True) + 1e-6)
    return norm.gamma * (images * nx) + norm.beta + images


def test_the_response_norm_is_the_papers():
    norm, weights = GlobalResponseNorm(6), torch.randn(2, 5, 4, 6)
    nn.init.normal_(norm.gamma), nn.init.normal_(norm.beta)
    ours, theirs = (torch.randn(2, 5, 4, 6).requires_grad_() for _ in range(2))
    theirs.data.copy_(ours.data)
    outputs = norm(ours), papers_norm(theirs, norm)
    torch.testing.assert_close(*outputs)
    for output in outputs:
        (output * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_response_norm_starts_as_the_identity():
    images = torch.randn(2, 5, 4, 6)
    assert torch.equal(GlobalResponseNorm(6)(images), images)


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize(("size", "left"), [(16, 2), (32, 4), (48, 6)])
def test_three_halvings_are_left_to_pool(stem_stride, size, left):
    net = ConvNeXt(3, stem_stride=stem_stride, input_size=size, heads_config=HEADS)
    pool = next(
        i for i, layer in enumerate(net.backbone) if isinstance(layer, nn.AdaptiveAvgPool2d)
    )
    assert net.backbone[:pool](torch.randn(1, 3, size, size)).shape == (1, 64, left, left)


def test_the_third_stage_has_more_blocks():
    net = build(blocks=2, stage_ratio=3, kernel_size=7)
    depthwise = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert [conv.out_channels for conv in depthwise] == [8] * 2 + [16] * 2 + [32] * 6 + [64] * 2
    assert {conv.kernel_size for conv in depthwise} == {(7, 7)}


def test_paths_are_dropped_more_often_the_deeper_and_only_in_training():
    net, kept = build(drop_path=0.3), build()
    rates = [module.p for module in net.modules() if isinstance(module, StochasticDepth)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
    kept.load_state_dict(net.state_dict())
    images = torch.randn(4, 3, 32, 32)
    assert not torch.equal(net(images)["sum"], net(images)["sum"])
    assert torch.equal(net.eval()(images)["sum"], kept.eval()(images)["sum"])


def test_weights_start_as_in_the_papers_code():
    layers = [m for m in build(dim=32).backbone.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    weights = torch.cat([layer.weight.flatten() for layer in layers])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert not any(layer.bias.any() for layer in layers)


def test_the_smallest_images_are_16x16():
    with pytest.raises(ConfigError) as error:
        ConvNeXt().configure((3, 15, 32), HEADS)
    assert str(error.value) == (
        "model.net: ConvNeXt halves each side three times, and the images are 15x32 pixels; write "
        "a data.data_dir whose images are 16x16 or larger, or another model.net"
    )


def test_wrong_arguments_are_told_at_once():
    with pytest.raises(ConfigError) as error:
        ConvNeXt(stage_ratio=0, kernel_size=4, stem_stride=4, drop_path=1.0)
    assert str(error.value) == (
        "model.net.stage_ratio: should be a whole number of at least 1, found 0\n"
        "model.net.kernel_size: should be an odd number of at least 1, found 4\n"
        "model.net.stem_stride: should be 1 or 2, found 4\n"
        "model.net.drop_path: should be a number of at least 0 and below 1, found 1.0"
    )
