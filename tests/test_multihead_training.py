"""Training end to end: every experiment, in a plain Trainer and as the command a user types."""

import csv
import json
from pathlib import Path

import lightning
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint

from mhray.training.parts import build
from mhray.training.project import config_directory
from mhray.training.run import compose_run

EXPERIMENTS = [path.stem for path in sorted(config_directory().glob("experiment/*.yaml"))]
SMALL = [
    "data.batch_size=20",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "trainer.accelerator=cpu",
]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_trains_in_a_plain_trainer(experiment, foreign, tmp_path):
    overrides = [*SMALL, f"experiment={experiment}", f"data.data_dir={foreign.directory}"]
    datamodule, module = build(compose_run(overrides))
    saver = ModelCheckpoint(tmp_path, monitor="val/loss")
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        limit_train_batches=2,
        limit_val_batches=1,
        callbacks=[saver],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=datamodule)
    assert saver.best_model_score == trainer.callback_metrics["val/loss"]
    assert Path(saver.best_model_path).is_file()


@pytest.fixture
def trained(typed, foreign):
    """The command, on 180 images with two heads; gives the result, after it has succeeded."""

    def run(*overrides):
        data = f"data.data_dir={foreign.directory}"
        code, _, error = typed(*SMALL, data, "hydra.run.dir=here", *overrides)
        assert (code, error) == (0, "")
        return json.loads(Path("here", "result.json").read_text())

    return run


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_trains_from_the_command_line(experiment, trained):
    metrics = trained(f"experiment={experiment}", "test=true")["metrics"]
    for split in ("train", "val", "test"):
        accs = [metrics[f"{split}/{head}_acc"] for head in ("note_number", "note_velocity")]
        losses = [metrics[f"{split}/{head}_loss"] for head in ("note_number", "note_velocity")]
        assert metrics[f"{split}/acc_mean"] == pytest.approx(sum(accs) / 2)
        assert metrics[f"{split}/acc_spread"] == pytest.approx(max(accs) - min(accs))
        assert metrics[f"{split}/loss_ratio"] == pytest.approx(losses[0] / losses[1])
    assert metrics["model/parameters"] > 0
    assert metrics["model/mflop_per_image"] > 0


def test_a_fast_dev_run_is_one_epoch_of_one_batch(trained):
    plain = trained("trainer.limit_train_batches=1")
    quick = trained("trainer.fast_dev_run=true", "trainer.max_epochs=3")
    assert (quick["epochs"], quick["metrics"]) == (1, plain["metrics"])


def test_the_loss_is_weighted_as_typed(trained):
    weights = ["model.loss_weights.note_number=2.0", "model.loss_weights.note_velocity=0.5"]
    metrics = trained(*weights)["metrics"]
    number, velocity = (metrics[f"val/{head}_loss"] for head in ("note_number", "note_velocity"))
    assert metrics["val/loss"] == pytest.approx(2.0 * number + 0.5 * velocity)


def test_a_weight_for_a_head_that_the_data_lack_lists_the_heads(typed, foreign):
    weight = "model.loss_weights.pitch=2.0"
    code, out, error = typed(f"data.data_dir={foreign.directory}", weight)
    assert (code, out) == (2, "")
    assert error == (
        "error: model.loss_weights.pitch: the data has no such head; "
        "write one of the heads: note_number, note_velocity\n"
    )


TRANSFORM = (
    "{_target_: torchvision.transforms.Compose, transforms: ["
    "{_target_: torchvision.transforms.RandomCrop, size: 32, padding: 4}, "
    "{_target_: torchvision.transforms.ToTensor}]}"
)


@pytest.mark.parametrize(
    ("split", "changed"),
    [("train", ["train", "val", "test"]), ("val", ["val"]), ("test", ["test"])],
)
def test_a_transform_of_a_split_comes_from_an_override(trained, split, changed):
    plain = trained("test=true")["metrics"]
    metrics = trained("test=true", f"data.{split}_transform={TRANSFORM}")["metrics"]
    losses = [f"{each}/loss" for each in ("train", "val", "test")]
    assert [loss for loss in losses if metrics[loss] != plain[loss]] == [
        f"{each}/loss" for each in changed
    ]


def test_transforms_come_from_a_file_of_ones_own(trained, tmp_path):
    (tmp_path / "own" / "data").mkdir(parents=True)
    file = {"defaults": ["cifar100mh"], "train_transform": yaml.safe_load(TRANSFORM)}
    (tmp_path / "own" / "data" / "cropped.yaml").write_text(yaml.safe_dump(file))
    typed = trained(f"data.train_transform={TRANSFORM}")["metrics"]
    assert (
        trained("data=cropped", "--config-dir", "own")["metrics"] == typed != trained()["metrics"]
    )


def learning_rate():
    (state,) = torch.load("here/last.ckpt", weights_only=True)["optimizer_states"]
    return state["param_groups"][0]["lr"]


@pytest.mark.parametrize(
    ("scheduler", "rate"),
    [
        (["scheduler=none"], 1e-3),
        (["scheduler=step", "model.scheduler.step_size=1"], 1e-4),
        (["scheduler=cosine"], 0.0),
        (["scheduler=plateau", "model.scheduler.patience=-1", "trainer.max_epochs=2"], 2.5e-4),
    ],
)
def test_a_scheduler_is_chosen_by_its_name(trained, scheduler, rate):
    trained(*scheduler)
    assert learning_rate() == pytest.approx(rate)


def test_gradients_are_clipped(trained):
    plain = trained("seed=1")["metrics"]
    clipped = trained("seed=1", "trainer.gradient_clip_val=1e-12")
    assert clipped["metrics"]["train/loss"] != plain["train/loss"]


def test_seeds_and_tags_reach_the_result(trained):
    first, second = (trained(f"seed={seed}", "tags=[first,wide]") for seed in (1, 2))
    assert (first["seed"], first["tags"]) == (1, ["first", "wide"])
    assert first["metrics"]["train/loss"] != second["metrics"]["train/loss"]


def test_loggers_hear_of_every_epoch_and_of_the_test(trained):
    result = trained("logger=[csv,tensorboard]", "test=true", "trainer.max_epochs=2")
    rows = list(csv.DictReader(Path("here", "csv", "metrics.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["1", "2", str(result["epoch"])]
    assert float(rows[-1]["test/loss"]) == result["metrics"]["test/loss"]
    assert float(rows[0]["train/images_per_second"]) > 0
    assert list(Path("here", "tensorboard").glob("events.*"))


@pytest.mark.parametrize("family", ["cnn", "convnext", "efficientnet", "vit"])
@pytest.mark.parametrize("prefix", ["", "+"])
def test_an_override_that_fits_no_architecture_lists_what_fits(typed, foreign, family, prefix):
    model = f"model=cifar100mh_{family}"
    code, _, error = typed(f"data.data_dir={foreign.directory}", model, f"{prefix}model.net.nope=3")
    assert code == 2
    known = ", ".join(key for key in compose_run([model]).model.net if key[0] != "_")
    assert error == f"error: model.net.nope: unknown key; one of: {known}\n"
