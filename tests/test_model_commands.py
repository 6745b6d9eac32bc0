"""A registered model, as its users call it: pictures in, answers out; and as an ONNX file."""

import csv
import io
import json

import mlflow
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from mhray.export import main as export
from mhray.heads import Head
from mhray.models.cnn import SimpleCNN
from mhray.predict import main as predict
from mhray.training import onnx_export
from mhray.training.network_spec import NetworkSpec, RawNetwork
from mhray.training.outbox import RunUpdate
from mhray.training.registry import Standing, log_best_model
from mhray.training.selection import Selection
from mhray.training.tracking import open_tracking

ARGUMENTS = {"conv1_channels": 4, "conv2_channels": 8, "fc_hidden": 16}
SPEC = NetworkSpec(
    network="mhray.models.cnn.SimpleCNN",
    arguments=ARGUMENTS,
    heads=(Head("colour", 3, class_names=("red", "green", "blue")), Head("note", 88, 21)),
    image_shape=(3, 16, 24),
    channel_mean=(0.1, 0.2, 0.3),
    channel_std=(0.5, 0.6, 0.7),
)
MODEL = "models:/m@champion"


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    network = SimpleCNN(**ARGUMENTS)
    network.configure((3, 16, 24), {"colour": 3, "note": 88})
    return network.eval()


@pytest.fixture(scope="module")
def store(trained, tmp_path_factory):
    """Where it is registered as m."""
    directory = tmp_path_factory.mktemp("registry")
    tracking = open_tracking(f"sqlite:///{directory}/mlflow.db", "x", directory / "artifacts")
    tracking.deliver([RunUpdate("study", 1000, "study")])
    log_best_model(
        trained,
        SPEC,
        example_images=np.zeros((1, 16, 24, 3), np.uint8),
        tracking=tracking,
        run_id=tracking.run_id("study"),
        registered_name="m",
        tags={},
        standing=Standing("f00d", Selection("val/acc_mean", "max"), 0.5),
    )
    return tracking.uri


@pytest.fixture
def called(store, capsys):
    """Calls a command on the store; gives its exit code and what it printed."""
    before = mlflow.get_tracking_uri()

    def call(command, *words, uri=store):
        code = command([*map(str, words), "--tracking-uri", uri])
        return code, *capsys.readouterr()

    yield call
    mlflow.set_tracking_uri(before)


@pytest.fixture
def pictures(tmp_path):
    draw = np.random.default_rng(0)
    for number in range(3):
        pixels = draw.integers(0, 256, (16, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def probabilities_of(trained, images):
    logits = RawNetwork(SPEC, trained.state_dict())(torch.tensor(images))
    return {head: values.softmax(1).detach().numpy() for head, values in logits.items()}


def test_pictures_are_answered_by_name_with_a_probability(called, pictures, trained):
    code, out, _ = called(predict, MODEL, pictures, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    images = np.stack([np.asarray(Image.open(row["picture"])) for row in rows])
    expected = probabilities_of(trained, images)
    names = [SPEC.heads[0].class_names[index] for index in expected["colour"].argmax(1)]
    assert (code, [row["colour_name"] for row in rows]) == (0, names)
    assert [int(row["note_name"]) for row in rows] == [*(expected["note"].argmax(1) + 21)]
    found = [float(row["note_probability"]) for row in rows]
    assert found == pytest.approx(expected["note"].max(1), rel=1e-6)


def test_a_person_is_shown_a_line_per_picture(called, pictures):
    code, out, _ = called(predict, MODEL, pictures / "0.png")
    head, line = out.splitlines()
    assert (code, head.split()) == (0, ["picture", "colour", "note"])
    assert line.split()[0] == str(pictures / "0.png")
    assert line.split()[1] in {"red", "green", "blue"}


def test_an_onnx_file_gives_the_probabilities_of_pytorch(called, tmp_path, trained):
    file = tmp_path / "m.onnx"
    code, out, error = called(export, MODEL, file)
    assert (code, out, error) == (0, f"written: {file}\n", "")
    session = onnxruntime.InferenceSession(str(file))
    for count in (1, 2, 300):
        images = np.random.default_rng(1).integers(0, 256, (count, 16, 24, 3), dtype=np.uint8)
        outputs = session.run(None, {"images": images})
        for found, expected in zip(
            outputs, probabilities_of(trained, images).values(), strict=True
        ):
            np.testing.assert_allclose(found, expected, atol=1e-4)
    assert [output.name for output in session.get_outputs()] == ["colour", "note"]
    heads = json.loads(session.get_modelmeta().custom_metadata_map["heads"])
    assert (heads["colour"], heads["note"][0]) == (["red", "green", "blue"], "21")


@pytest.mark.parametrize(
    ("model", "uri", "message"),
    [
        ("models:/m@champon", None, "models:/m@champon: no such model can be loaded from"),
        ("models:/m@champon", None, "write one of: models:/m@champion"),
        (MODEL, "sqlite:///nowhere.db", "--tracking-uri: there is no file"),
        (MODEL, "http://127.0.0.1:9", "--tracking-uri: http://127.0.0.1:9 cannot be opened"),
    ],
)
@pytest.mark.parametrize("command", [predict, export])
def test_a_model_that_is_not_there_is_said(called, pictures, store, command, model, uri, message):
    wanted = pictures / ("0.png" if command is predict else "m.onnx")
    code, out, error = called(command, model, wanted, uri=uri or store)
    assert (code, out) == (2, "")
    assert error.startswith("error: ")
    assert message in error
    assert not (pictures / "m.onnx").exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [("m.pt", "is no name of an ONNX file"), ("nowhere/m.onnx", "cannot be written (No such file")],
)
def test_a_file_that_cannot_be_written_is_said(called, tmp_path, file, message):
    code, _, error = called(export, MODEL, tmp_path / file)
    assert code == 2
    assert message in error


def test_what_writes_onnx_files_may_be_missing(called, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "NEEDED", ("no_such_package",))
    code, _, error = called(export, MODEL, tmp_path / "m.onnx")
    assert (code, "run pip install 'mhray[onnx]'" in error) == (2, True)
