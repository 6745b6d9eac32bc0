"""``python -m mhray.train`` as Hydra users type it."""

import json
import re

import pytest

from mhray.training.run import build_trainer, compose_run, load_model


def test_a_run_prints_its_epochs_and_where_its_result_is(command, small_run, tmp_path):
    done = command("mhray.train", *small_run, "model.loss_weights.left=2.0", "hydra.run.dir=here")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["epoch 1", "epoch 2"]
    assert lines[2].startswith("best epoch ")
    assert re.match(r"cost: \d+ parameters, \d+\.\d\d MFLOP per image, \d+ images/s$", lines[3])
    result = json.loads((tmp_path / "here" / "result.json").read_text())
    assert "model.loss_weights.left=2.0" in result["overrides"]
    assert (tmp_path / "here" / "best.ckpt").is_file()


def test_a_run_goes_on_from_a_checkpoint_and_evaluates_test(command, small_run, tmp_path):
    command("mhray.train", *small_run, "hydra.run.dir=first")
    done = command(
        "mhray.train",
        *small_run,
        "trainer.max_epochs=3",
        "hydra.run.dir=second",
        "ckpt_path=first/last.ckpt",
        "test=true",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("epoch 3:")
    assert "test: test/acc_mean" in done.stdout
    metrics = json.loads((tmp_path / "second" / "result.json").read_text())["metrics"]
    assert metrics["test/left_acc"] >= 0


def test_two_workers_train_one_model(command, small_run, tmp_path):
    # With weights that depend on every step: a rank with others would validate otherwise.
    overrides = [*small_run, "workers=2", "weighting=famo"]
    done = command("mhray.train", *overrides, "hydra.run.dir=here")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads((tmp_path / "here" / "result.json").read_text())
    assert (result["workers"], result["samples_per_rank"]) == (2, [270, 270])
    assert "Token authentication" not in done.stdout
    alone = validated_in_one_process(compose_run(overrides), tmp_path / "here" / "best.ckpt")
    reduced = {name: result["metrics"][name] for name in alone if name != "val/acc_best"}
    assert reduced == pytest.approx({name: alone[name] for name in reduced}, rel=1e-5)


def validated_in_one_process(config, checkpoint):
    datamodule, module = load_model(config, checkpoint)
    trainer = build_trainer(config, [], {"devices": 1, "enable_checkpointing": False})
    return trainer.validate(module, datamodule=datamodule, verbose=False)[0]


def test_hydras_multirun_runs_each(command, small_run, tmp_path):
    sweep = ["hydra.sweep.dir=many", "model.optimizer.lr=1e-3,2e-3", "trainer.max_epochs=1"]
    done = command("mhray.train", "-m", *small_run, *sweep)
    assert done.returncode == 0, done.stderr
    assert sorted(path.parent.name for path in tmp_path.glob("many/*/result.json")) == ["0", "1"]


def test_one_batch_of_each_split_shows_that_all_parts_fit(command, small_run):
    done = command("mhray.train", *small_run, "trainer.fast_dev_run=true", "hydra.run.dir=here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("epoch 1:")


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("model.loss_weights.lft=2.0", "did you mean left? (heads: left, right, sum)"),
        ("model.optimizer.lrr=1", "model.optimizer.lrr: unknown key; did you mean lr?"),
        ("logger=cvs", "Available options in 'logger'"),
        ("trainer.max_epochs=[", "trainer.max_epochs=[: "),
        ("data.data_dir=nowhere data.source=null", "nowhere"),
        ("hydra.run.dir=/dev/null/run", "/dev/null/run"),
        ("weighting=dwaa", "Available options in 'weighting': class_count dwa equal"),
        ("+model.weighting.temperature=hot", "model.weighting.temperature: unknown key; one of: "),
        (
            "weighting=dwa model.weighting.temperature=hot",
            "should be a number above 0, found 'hot'",
        ),
        ("weighting=dwa model.loss_weights.left=2", "model.loss_weights: model.weighting is DWA"),
        ("weighting=dwa select.metric=val/loss select.mode=min", "val/loss is weighted by DWA"),
        ("model.train_heads=[]", "model.train_heads: names no head"),
        ("model.train_heads=[nope]", "model.train_heads: the data has no such head"),
        ("workers=7", "data.batch_size: 60 images cannot be shared by 7 workers"),
    ],
)
def test_a_mistake_ends_with_one_message_and_exit_code_2(typed, small_run, mistake, message):
    code, out, error = typed(*small_run, *mistake.split(" "))
    assert code == 2, out + error
    assert message in error
    assert error.startswith("error: ")
    assert "Traceback" not in out + error


def test_a_mistake_ends_a_process_without_a_traceback(command, small_run):
    done = command("mhray.train", *small_run, "model.loss_weights.lft=2.0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: model.loss_weights.lft: the data has no such head")


def test_the_composed_config_is_printed(typed):
    code, out, _ = typed("experiment=cifar100mh_cnn", "--cfg", "job")
    assert code == 0
    assert "source: multimnist" in out


def test_help_shows_three_examples_and_hydras_flags(typed):
    code, out, _ = typed("--help")
    assert code == 0
    assert out.count("\n  python -m mhray.train ") >= 3
    assert "--cfg" in out
