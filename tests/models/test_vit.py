import pytest
import torch
from torch import nn
from torch.nn import functional

from mhray.errors import ConfigError
from mhray.models.network_contract import MultiheadNetworkContract
from mhray.models.vit import VisionTransformer, _SelfAttention

HEADS = {"left": 4, "sum": 7}


class TestVisionTransformer(MultiheadNetworkContract):
    def make(self, **arguments):
        return VisionTransformer(**arguments)


@pytest.mark.parametrize(
    ("shape", "patch_size", "patches"),
    [
        ((1, 16, 16), 8, 4),
        ((3, 24, 48), 8, 18),
        ((3, 32, 32), 4, 64),
        ((2, 8, 16), 8, 2),
        ((1, 28, 28), 8, 16),
        ((2, 17, 19), 8, 9),
        ((3, 4, 32), 8, 4),
    ],
)
def test_images_become_patches_which_all_have_a_place(shape, patch_size, patches):
    net = VisionTransformer(patch_size=patch_size)
    net.configure(shape, HEADS)
    embedded = net.backbone[:3](torch.randn(5, *shape))
    assert embedded.shape == (5, patches, 32)
    assert net.backbone[3].pos_embedding.shape == (1, patches, 32)


@pytest.mark.parametrize(
    ("shape", "patch_size"), [((1, 28, 28), 8), ((2, 17, 19), 8), ((3, 17, 32), 5), ((1, 3, 4), 2)]
)
def test_every_pixel_counts_where_patches_do_not_divide_the_images(shape, patch_size):
    net = VisionTransformer(patch_size=patch_size)
    net.configure(shape, HEADS)
    images = torch.randn(2, *shape, requires_grad=True)
    net(images)["sum"].square().sum().backward()
    assert images.grad.all()


def test_padding_is_zeros_around_the_images():
    net = VisionTransformer()
    net.configure((1, 28, 28), HEADS)
    images, larger = torch.randn(2, 1, 28, 28), VisionTransformer()
    larger.configure((1, 32, 32), HEADS)
    larger.load_state_dict(net.state_dict())
    padded = functional.pad(images, (2, 2, 2, 2))
    torch.testing.assert_close(net.eval()(images), larger.eval()(padded))


def test_where_a_patch_stands_matters():
    net = VisionTransformer(3, input_size=32, heads_config=HEADS).eval()
    images = torch.randn(2, 3, 32, 32)
    moved = images.roll(8, dims=3)
    assert not torch.allclose(net(images)["sum"], net(moved)["sum"])
    net.backbone[3].pos_embedding.data.zero_()
    torch.testing.assert_close(net(images)["sum"], net(moved)["sum"])


def test_the_embedding_keeps_the_variance_of_the_pixels():
    net = VisionTransformer(3, input_size=32, heads_config=HEADS, dim=128)
    embedded = net.backbone[0](torch.randn(64, 3, 32, 32))
    assert embedded.std().item() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("attention_heads", [1, 2, 3])
def test_a_budget_is_met_in_steps_of_the_attention_heads(attention_heads):
    net = VisionTransformer(dim=35, attention_heads=attention_heads, parameter_budget=64_000)
    net.configure((3, 32, 32), HEADS)
    hidden = net.backbone[0].out_channels
    assert hidden == round(35 * net.width_scale / attention_heads) * attention_heads
    assert net.backbone[3].layers[0].self_attention.num_heads == attention_heads


@pytest.mark.parametrize(
    ("shape", "patch_size", "remedy"),
    [
        ((3, 32, 32), 32, "31 or less"),
        ((3, 4, 8), 16, "7 or less"),
        ((3, 1, 1), 1, "a data.data_dir whose images are larger"),
    ],
)
def test_a_patch_that_holds_the_whole_image_is_refused(shape, patch_size, remedy):
    with pytest.raises(ConfigError) as error:
        VisionTransformer(patch_size=patch_size).configure(shape, HEADS)
    assert str(error.value) == (
        f"model.net.patch_size: {patch_size}, but the images are {shape[1]}x{shape[2]} pixels, "
        f"which are one patch; write {remedy}"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"dim": 30},
            "model.net.dim: should be a multiple of attention_heads, which is 4, found 30",
        ),
        (
            {"attention_heads": 0, "dropout": -0.1},
            (
                "model.net.attention_heads: should be a whole number of at least 1, found 0\n"
                "model.net.dropout: should be a number of at least 0 and below 1, found -0.1"
            ),
        ),
    ],
)
def test_wrong_arguments_are_told(arguments, message):
    with pytest.raises(ConfigError) as error:
        VisionTransformer(**arguments)
    assert str(error.value) == message


def test_attention_is_that_of_torch():
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    ours = _SelfAttention(theirs)
    features = torch.randn(2, 5, 12)
    expected, _ = theirs(features, features, features, need_weights=False)
    attended, _ = ours(features, features, features, need_weights=False)
    torch.testing.assert_close(attended, expected)
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_attention_is_dropped_in_training_alone():
    attention = _SelfAttention(nn.MultiheadAttention(12, 3, dropout=0.5, batch_first=True))
    features = torch.randn(2, 5, 12)
    first, second = (attention(features, need_weights=False)[0] for _ in range(2))
    assert not torch.equal(first, second)
    attention.eval()
    first, second = (attention(features, need_weights=False)[0] for _ in range(2))
    assert torch.equal(first, second)
