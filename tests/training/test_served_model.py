"""The champion: registered whole or not at all, loaded by name, fed with raw images."""

import json
from dataclasses import replace

import mlflow
import numpy as np
import pytest
import torch

from mhray.errors import ConfigError, StorageError
from mhray.heads import Head, Implication
from mhray.models.cnn import SimpleCNN
from mhray.training.answers import columns_of
from mhray.training.network_spec import NetworkSpec
from mhray.training.outbox import RunUpdate
from mhray.training.registry import Registered, Standing, log_best_model
from mhray.training.selection import Selection

HEADS = (Head("left", 10), Head("type", 4, smallest_value=21))
HEADS_CONFIG = {"left": 10, "type": 4}
ODD_BY_LEFT = Implication("left", (0, 1) * 5)
ARGUMENTS = {"conv1_channels": 4, "conv2_channels": 8, "fc_hidden": 16}
MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
IMAGES = np.random.default_rng(0).integers(0, 256, (300, 16, 24, 3), dtype=np.uint8)
SPEC = NetworkSpec(
    network="mhray.models.cnn.SimpleCNN",
    arguments=ARGUMENTS,
    heads=HEADS,
    image_shape=(3, 16, 24),
    channel_mean=MEAN,
    channel_std=STD,
)


STANDING = Standing("f00d", Selection("val/acc_mean", "max"), 0.5)


@pytest.fixture
def tracking(tracking):
    tracking.deliver([RunUpdate("study", 1000, "study")])
    return tracking


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = SimpleCNN(**ARGUMENTS)
    network.configure((3, 16, 24), HEADS_CONFIG)
    return network.eval()


@pytest.fixture
def publish(tracking, network, request):
    """Logs the network under a name of the test's own."""

    def log(spec=SPEC, **changes):
        arguments = {
            "example_images": IMAGES[:2],
            "tracking": tracking,
            "run_id": tracking.run_id("study"),
            "registered_name": request.node.name,
            "tags": {"mhray.trial": "3"},
            "standing": STANDING,
        }
        return log_best_model(network, spec, **(arguments | changes))

    return log


@pytest.fixture
def load(store):
    """Loads a model as a user would, who has set the tracking URI."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(store)
    yield mlflow.pyfunc.load_model
    mlflow.set_tracking_uri(before)


def classes_of(network, images):
    pixels = torch.tensor(images).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    with torch.inference_mode():
        logits = network((pixels - mean) / std)
    return {head: values.argmax(1).tolist() for head, values in logits.items()}


def versions_of(tracking, name):
    return tracking.client.search_model_versions(f"name = '{name}'")


def test_the_champion_predicts_the_class_of_each_head_from_raw_images(
    publish, load, network, request
):
    publish()
    table = load(f"models:/{request.node.name}@champion").predict(IMAGES)
    classes = classes_of(network, IMAGES)
    assert table[["left", "type"]].to_dict("list") == classes
    assert table["type_name"].tolist() == [str(21 + index) for index in classes["type"]]
    assert table["left_probability"].between(0.1, 1.0).all()
    kinds = [str(table[name].dtype) for name in ("left", "left_name", "left_probability")]
    assert kinds == ["int64", "object", "float64"]


def test_publishing_prints_nothing(publish, capfd):
    publish()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("count", [0, 1, 256, 257])
def test_any_number_of_images_is_a_batch(publish, load, network, count):
    table = load(publish().uri).predict(IMAGES[:count])
    assert table[["left", "type"]].to_dict("list") == classes_of(network, IMAGES[:count])


@pytest.mark.parametrize(
    ("implied", "columns"), [({}, ["left"]), ({"type": (ODD_BY_LEFT,)}, ["left", "type"])]
)
def test_a_head_left_out_is_served_if_another_implies_it(publish, load, network, implied, columns):
    spec = SPEC.model_copy(update={"train_heads": ("left",), "implied_heads": implied})
    model = load(publish(spec=spec).uri)
    wanted = [column for head in columns for column in columns_of(head)]
    assert model.metadata.signature.outputs.input_names() == wanted
    served = model.predict(IMAGES[:9])
    assert list(served) == wanted
    assert served["left"].tolist() == classes_of(network, IMAGES[:9])["left"]
    assert {*served[columns[-1]]} <= ({0, 1} if implied else {*range(10)})


def test_images_that_are_no_bytes_are_refused(publish, load):
    model = load(publish().uri)
    with pytest.raises(
        mlflow.MlflowException, match="dtype of input float64 does not match expected dtype uint8"
    ):
        model.predict(IMAGES / 255)


def test_signature_and_input_example_say_what_goes_in_and_out(publish, load):
    metadata = load(publish().uri).metadata
    assert str(metadata.signature.inputs) == "[Tensor('uint8', (-1, 16, 24, 3))]"
    kinds = {column.name: column.type.name for column in metadata.signature.outputs}
    assert list(kinds) == [*columns_of("left"), *columns_of("type")]
    assert [*kinds.values()] == ["long", "string", "double"] * 2
    assert metadata.saved_input_example_info["artifact_path"] == "input_example.json"


def test_the_model_belongs_to_its_run(publish, tracking, request):
    publish(description="the best trial")
    (version,) = versions_of(tracking, request.node.name)
    known = tracking.client.get_registered_model(request.node.name)
    assert known.description == "Version 1, the champion:\n\nthe best trial"
    assert version.run_id == tracking.run_id("study")
    tags = {"mhray.trial": "3"} | STANDING.tags
    assert (version.description, version.tags) == ("the best trial", tags)
    (output,) = tracking.client.get_run(version.run_id).outputs.model_outputs
    assert tracking.client.get_logged_model(output.model_id).status == "READY"


def test_requirements_are_exact(publish, tracking, tmp_path):
    publish()
    (requirements,) = (tmp_path / "artifacts").rglob("requirements.txt")
    lines = requirements.read_text().splitlines()
    names = ["mhray", "mlflow", "numpy", "pandas", "torch"]
    assert [line.split("==")[0] for line in lines] == names
    assert not any("+" in line for line in lines)


def test_publishing_the_same_model_again_makes_no_second_version(publish, tracking, request):
    assert publish() == publish() == Registered(f"models:/{request.node.name}/1", "champion", "")
    assert len(versions_of(tracking, request.node.name)) == 1


def test_another_study_s_model_with_the_same_tags_is_another_version(publish, tracking):
    publish()
    tracking.deliver([RunUpdate("study 2", 1000, "study 2")])
    assert publish(run_id=tracking.run_id("study 2")).uri.endswith("/2")


def scoring(value, data="f00d"):
    """What to publish a model with that is so good."""
    tags = {"mhray.trial": f"{value} {data}"}
    return {"tags": tags, "standing": replace(STANDING, value=value, data=data)}


OTHER = "version 1 is, of other data or by another metric"
BETTER = "version 1 is, with val/acc_mean 0.5000"


@pytest.mark.parametrize(
    ("following", "aliases", "why_not"),
    [
        ([scoring(0.6)], {"champion": 2, "challenger": 1}, ""),
        ([scoring(0.5)], {"champion": 2, "challenger": 1}, ""),
        ([scoring(0.4)], {"champion": 1, "challenger": 2}, BETTER),
        ([scoring(0.9, "beef")], {"champion": 1}, OTHER),
        ([scoring(0.4), scoring(0.3)], {"champion": 1, "challenger": 2}, BETTER),
        ([scoring(0.3), scoring(0.4)], {"champion": 1, "challenger": 3}, BETTER),
        ([scoring(0.6), scoring(0.7)], {"champion": 3, "challenger": 2}, ""),
    ],
    ids=["better", "equal", "worse", "other data", "worst", "second", "best"],
)
def test_aliases_move_within_one_data_set_to_what_is_not_worse(
    publish, tracking, request, following, aliases, why_not
):
    found = [publish(), *(publish(**how) for how in following)]
    known = tracking.client.get_registered_model(request.node.name).aliases
    assert {alias: int(version) for alias, version in known.items()} == aliases
    assert found[-1].why_not == why_not
    assert len(versions_of(tracking, request.node.name)) == len(found)
    assert publish(**following[-1]) == found[-1]


@pytest.mark.parametrize("own", ["", "mine"])
def test_a_registered_model_shows_its_champion_s_card_unless_a_user_wrote_another(
    publish, tracking, request, own
):
    publish(description="first")
    if own:
        tracking.client.update_registered_model(request.node.name, own)
    publish(description="worse", **scoring(0.4))
    publish(description="better", **scoring(0.6))
    found = tracking.client.get_registered_model(request.node.name).description
    assert found == (own or "Version 3, the champion:\n\nbetter")


def test_a_model_that_cannot_be_logged_leaves_nothing(publish, tracking, request, tmp_path):
    (tmp_path / "artifacts").touch()
    with pytest.raises(StorageError, match=r"registered as test_a_model.* \(.*Not a directory"):
        publish()
    assert versions_of(tracking, request.node.name) == []
    assert tracking.client.search_logged_models([tracking.experiment_id]) == []


@pytest.mark.parametrize("alias", ["no spaces please", "v1", "latest"])
def test_a_version_that_cannot_get_its_alias_is_removed(publish, tracking, request, alias):
    with pytest.raises(StorageError, match="alias"):
        publish(champion=alias)
    assert versions_of(tracking, request.node.name) == []


def test_a_name_that_mlflow_refuses_leaves_no_model(publish, tracking):
    with pytest.raises(StorageError) as error:
        publish(registered_name="a/b")
    assert str(error.value).startswith(
        "mlflow.register_best_as: the best model cannot be logged and registered as a/b ("
    )
    assert tracking.client.search_logged_models([tracking.experiment_id]) == []


def test_a_spec_survives_its_file(network):
    again = NetworkSpec.model_validate_json(SPEC.model_dump_json())
    assert again == SPEC
    built = again.build(network.state_dict())
    assert classes_of(built, IMAGES) == classes_of(network, IMAGES)


@pytest.mark.parametrize("kind", ["os.system", "torch.nn.Linear", "mhray.models.cnn.nn"])
def test_a_spec_that_names_no_network_is_refused_before_anything_is_called(kind):
    spec = NetworkSpec.model_validate_json(json.dumps(SPEC.model_dump() | {"network": kind}))
    with pytest.raises(ConfigError) as error:
        spec.build({})
    assert str(error.value) == (
        f"network.json: {kind} is no network; name a subclass of MultiheadNetwork"
    )
