"""``python -m mhray.train`` as Hydra users type it."""

import json

import pytest


def test_a_run_prints_its_epochs_and_where_its_result_is(command, small_run, tmp_path):
    done = command("mhray.train", *small_run, "model.loss_weights.left=2.0", "hydra.run.dir=here")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["epoch 1", "epoch 2"]
    assert lines[2].startswith("best epoch ")
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
    done = command("mhray.train", *small_run, "workers=2", "hydra.run.dir=here")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads((tmp_path / "here" / "result.json").read_text())
    assert (result["workers"], result["samples_per_rank"]) == (2, [270, 270])
    assert "Token authentication" not in done.stdout


def test_the_composed_config_is_printed(command):
    done = command("mhray.train", "experiment=cifar100mh_cnn", "--cfg", "job")
    assert done.returncode == 0
    assert "source: multimnist" in done.stdout


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
        ("model.optimizer.lrr=1", "model.optimizer.lrr"),
        ("trainer.max_epochs=[", "trainer.max_epochs=[: "),
        ("data.data_dir=nowhere data.source=null", "nowhere"),
        ("hydra.run.dir=/dev/null/run", "/dev/null/run"),
        ("workers=7", "data.batch_size: 60 images cannot be shared by 7 workers"),
    ],
)
def test_a_mistake_ends_with_one_message_and_exit_code_2(command, small_run, mistake, message):
    done = command("mhray.train", *small_run, *mistake.split(" "))
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stdout + done.stderr


def test_help_shows_three_examples_and_hydras_flags(command):
    done = command("mhray.train", "--help")
    assert done.returncode == 0
    assert done.stdout.count("\n  python -m mhray.train ") >= 3
    assert "--cfg" in done.stdout
