import pytest
import torch
from torch import nn

from mhray.errors import ConfigError
from mhray.models.classifiers import ModulePerHead
from mhray.models.cnn import SimpleCNN

HEADS = {"left": 4, "sum": 7}


def parameters_of(net: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(net.parameters())


@pytest.mark.parametrize("name", ["type", "train", "keys", "param_0", "a-b"])
def test_a_head_may_have_any_name(name):
    modules = ModulePerHead({name: nn.Linear(2, 3)})
    assert list(modules.state_dict()) == [f"{name}.weight", f"{name}.bias"]
    assert isinstance(modules[name], nn.Linear)


def test_a_network_without_heads_has_no_parameters_and_no_heads_config():
    net = SimpleCNN()
    assert net.heads_config is None
    assert list(net.parameters()) == []


def test_configure_builds_the_heads_and_stays_put_when_repeated():
    net = SimpleCNN()
    net.configure((1, 16, 16), HEADS)
    before = parameters_of(net)
    net.configure((1, 16, 16), HEADS)
    assert net.heads_config == HEADS
    assert torch.equal(parameters_of(net), before)


def test_the_same_seed_gives_the_same_parameters_whenever_the_layers_are_built():
    torch.manual_seed(7)
    at_once = SimpleCNN(3, input_size=16, heads_config=HEADS)
    torch.manual_seed(7)
    later = SimpleCNN()
    torch.rand(100)
    later.configure((3, 16, 16), HEADS)
    assert torch.equal(parameters_of(at_once), parameters_of(later))


def test_two_networks_of_one_seed_differ():
    nets = [SimpleCNN(3, input_size=16, heads_config=HEADS) for _ in range(2)]
    assert not torch.equal(*map(parameters_of, nets))


def test_building_layers_leaves_the_random_state_alone():
    net = SimpleCNN()
    before = torch.get_rng_state()
    net.configure((3, 16, 16), HEADS)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"input_channels": 3},
            (
                "model.net.input_channels: 3, but the data's images have 1 channels; "
                "write model.net.input_channels=1"
            ),
        ),
        (
            {"input_size": 32},
            (
                "model.net.input_size: 32, but the data's images are 16x16 pixels; "
                "write model.net.input_size=16"
            ),
        ),
        (
            {"heads_config": {"left": 9}},
            (
                "model.net.heads_config: {'left': 9}, but the data's heads are "
                "{'left': 4, 'sum': 7}; write model.net.heads_config=null"
            ),
        ),
    ],
)
def test_what_was_given_must_agree_with_the_data(given, message):
    with pytest.raises(ConfigError) as error:
        SimpleCNN(**given).configure((1, 16, 16), HEADS)
    assert str(error.value) == message


def test_all_conflicts_are_told_at_once():
    net = SimpleCNN(3, input_size=16, heads_config=HEADS)
    with pytest.raises(ConfigError) as error:
        net.configure((1, 16, 24), {"left": 4})
    assert str(error.value).count("write model.net") == 3
    assert "write model.net.input_size=null" in str(error.value)


def test_a_network_built_for_one_data_set_refuses_another():
    net = SimpleCNN()
    net.configure((1, 16, 16), HEADS)
    with pytest.raises(ConfigError) as error:
        net.configure((3, 16, 16), HEADS)
    assert str(error.value) == (
        "model.net: built for images of shape (1, 16, 16), but the data's are (3, 16, 16); "
        "make a new network for them"
    )


def test_a_network_that_is_not_built_says_what_to_give():
    with pytest.raises(ConfigError) as error:
        SimpleCNN()(torch.zeros(1, 3, 16, 16))
    assert str(error.value) == (
        "model.net: its layers are not built yet; give input_channels, input_size and "
        "heads_config, or call configure with the data's image shape and heads"
    )


def test_heads_keep_the_order_in_which_they_were_given():
    net = SimpleCNN(heads_config={"sum": 7, "left": 4})
    assert list(net.configure((3, 16, 16), HEADS)) == ["sum", "left"]


def test_the_width_is_solved_for_the_images_and_heads_that_the_data_have():
    small, large = SimpleCNN(parameter_budget=64_000), SimpleCNN(parameter_budget=64_000)
    small.configure((1, 16, 16), HEADS)
    large.configure((3, 64, 64), {"fine": 100, "coarse": 20})
    assert small.width_scale > 1.5
    assert large.width_scale < 0.7
    for net in (small, large):
        assert len(parameters_of(net)) == pytest.approx(64_000, rel=0.1)


def test_without_a_budget_widths_are_as_given():
    net = SimpleCNN(3, input_size=16, heads_config=HEADS)
    assert net.width_scale == 1.0
    assert net.heads["sum"].in_features == 96


@pytest.mark.parametrize("budget", [0, 64e3, "64k"])
def test_a_budget_that_is_no_number_of_parameters_is_refused(budget):
    with pytest.raises(ConfigError) as error:
        SimpleCNN(parameter_budget=budget)
    assert str(error.value) == (
        f"model.net.parameter_budget: should be a whole number of at least 1, found {budget!r}"
    )
