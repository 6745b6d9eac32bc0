"""``python -m mhray.train`` as Hydra users type it."""

import json
import re
from pathlib import Path

import pytest

from mhray.training.parts import build_trainer
from mhray.training.run import compose_run, load_model


def test_a_run_prints_its_epochs_and_where_its_result_is(command, small_run, tmp_path):
    done = command("mhray.train", *small_run, "model.loss_weights.left=2.0", "hydra.run.dir=here")
    assert (done.returncode, done.stderr) == (0, "")
    lines, here = done.stdout.splitlines(), tmp_path / "here"
    assert [line.split(":")[0] for line in lines[:2]] == ["epoch 1", "epoch 2"]
    assert lines[2].startswith("best epoch ")
    assert re.match(r"cost: \d+ parameters, \d+\.\d\d MFLOP per image, \d+ images/s$", lines[3])
    assert lines[4:] == [f"result: {here}/result.json", f"checkpoint: {here}/best.ckpt"]
    result = json.loads((here / "result.json").read_text())
    assert "model.loss_weights.left=2.0" in result["overrides"]
    assert (here / "best.ckpt").is_file()


def test_a_run_goes_on_from_a_checkpoint_and_evaluates_test(typed, small_run):
    typed(*small_run, "hydra.run.dir=first")
    more = ["trainer.max_epochs=3", "ckpt_path=first/last.ckpt", "test=true"]
    code, out, error = typed(*small_run, *more, "hydra.run.dir=second")
    assert (code, error) == (0, "")
    epoch, _, test, *_ = out.splitlines()
    assert epoch.startswith("epoch 3: ")
    assert test.startswith("test: test/acc_mean ")
    metrics = json.loads(Path("second", "result.json").read_text())["metrics"]
    assert f"test/left_acc {metrics['test/left_acc']:.4f}" in test


def test_two_workers_train_one_model(command, small_run, tmp_path):
    # With weights that depend on every step: a rank with others would validate otherwise.
    overrides = [*small_run, "workers=2", "weighting=famo"]
    done = command("mhray.train", *overrides, "hydra.run.dir=here")
    assert (done.returncode, done.stderr) == (0, "")
    words = [line.split()[0] for line in done.stdout.splitlines()]
    assert words == ["epoch", "epoch", "best", "cost:", "result:", "checkpoint:"]
    result = json.loads((tmp_path / "here" / "result.json").read_text())
    assert (result["workers"], result["samples_per_rank"]) == (2, [270, 270])
    alone = validated_in_one_process(compose_run(overrides), tmp_path / "here" / "best.ckpt")
    reduced = {name: result["metrics"][name] for name in alone if name != "val/acc_best"}
    assert reduced == pytest.approx({name: alone[name] for name in reduced}, rel=1e-5)


def validated_in_one_process(config, checkpoint):
    datamodule, module = load_model(config, checkpoint)
    trainer = build_trainer(config, [], {"enable_checkpointing": False})
    return trainer.validate(module, datamodule=datamodule, verbose=False)[0]


def test_hydras_multirun_runs_each(typed, small_run):
    sweep = ["hydra.sweep.dir=many", "model.optimizer.lr=0.001,0.002", "trainer.max_epochs=1"]
    code, _, error = typed("-m", *small_run, *sweep)
    assert (code, error) == (0, "")
    for number, rate in enumerate(["0.001", "0.002"]):
        result = json.loads(Path("many", str(number), "result.json").read_text())
        assert f"model.optimizer.lr={rate}" in result["overrides"]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("model.loss_weights.lft=2.0", "did you mean left? (heads: left, right, sum)"),
        ("model.optimizer.lrr=1", "model.optimizer.lrr: unknown key; did you mean lr?"),
        (
            "logger=cvs",
            "logger: cvs is no option; did you mean csv? (one of: csv, mlflow, none, ",
        ),
        ("trainer.max_epochs=[", "trainer.max_epochs=[: "),
        ("data.data_dir=nowhere data.source=null", "nowhere"),
        ("hydra.run.dir=/dev/null/run", "/dev/null/run"),
        ("weighting=dwaa", "weighting: dwaa is no option; did you mean dwa? (one of: class_count,"),
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
    assert (code, out) == (2, "")
    assert message in error
    assert error.startswith("error: ")
    assert "Traceback" not in error


def test_the_composed_config_is_printed(typed):
    code, out, _ = typed("experiment=cifar100mh_cnn", "--cfg", "job")
    assert code == 0
    assert "source: multimnist" in out


def test_help_shows_three_examples_and_hydras_flags(typed):
    code, out, _ = typed("--help")
    assert code == 0
    assert out.count("\n  python -m mhray.train ") >= 3
    assert "--cfg" in out
