import json
import math
from pathlib import Path

import pytest
import torch

from mhray.errors import ConfigError, DivergedError, HeadMismatchError, StorageError
from mhray.heads import Head
from mhray.models.cnn import SimpleCNN
from mhray.training.cost import mflop_per_image
from mhray.training.parts import build_trainer
from mhray.training.result import RunResult
from mhray.training.run import (
    check_heads,
    compose_run,
    evaluate_test,
    load_model,
    read_heads_of,
    train,
    try_one_step,
)


def ignore(row):
    pass


def run_in(directory, overrides, report=ignore, **options):
    return train(compose_run(overrides), directory, report=report, overrides=overrides, **options)


def test_weights_of_heads_compose_although_no_config_lists_heads():
    config = compose_run(["model.loss_weights.left=2.0"])
    assert config.model.loss_weights == {"left": 2.0}


def test_a_typo_anywhere_else_is_named_with_the_keys_that_there_are():
    with pytest.raises(ConfigError) as error:
        compose_run(["model.optimizer.lrr=2.0"])
    assert str(error.value) == (
        "model.optimizer.lrr: unknown key; did you mean lr? (one of: lr, weight_decay, fused)"
    )


@pytest.mark.parametrize("tags", [[], ["first", "wide"]])
def test_tags_reach_the_result(small_run, tmp_path, tags):
    run_in(tmp_path, [*small_run, "trainer.max_epochs=1", f"tags=[{','.join(tags)}]"])
    assert json.loads((tmp_path / "result.json").read_text())["tags"] == tags


def test_a_result_says_what_the_run_costs(small_run, tmp_path):
    rows = []
    result = run_in(tmp_path, small_run, rows.append)
    net = load_model(compose_run(small_run), Path(result.checkpoint))[1].net
    assert result.metrics["model/parameters"] == sum(p.numel() for p in net.parameters())
    assert result.metrics["model/mflop_per_image"] == mflop_per_image(net, net.image_shape)
    assert result.images_per_second == rows[-1].logged["train/images_per_second"] > 0


def test_a_key_that_was_added_is_refused_when_nothing_reads_it(small_run, tmp_path):
    with pytest.raises(ConfigError, match=r"^model.net.depht: unknown key; one of: input_channels"):
        run_in(tmp_path, [*small_run, "+model.net.depht=3"])


def test_a_group_that_does_not_exist_names_those_that_do():
    with pytest.raises(ConfigError, match=r"cifar100mh_cnn"):
        compose_run(["experiment=cifar100mh_cn"])


def test_users_groups_are_found_beside_the_shipped_ones(tmp_path):
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "short.yaml").write_text("defaults: [default]\nmax_epochs: 1\n")
    assert compose_run(["trainer=short"], tmp_path).trainer.max_epochs == 1


def test_a_weight_for_a_head_that_the_data_lack_is_refused(small_run):
    config = compose_run([*small_run, "model.loss_weights.lft=2.0"])
    with pytest.raises(HeadMismatchError) as error:
        check_heads(config, read_heads_of(config)[0])
    assert str(error.value) == (
        "model.loss_weights.lft: the data has no such head; did you mean left? "
        "(heads: left, right, sum)"
    )


def test_a_metric_that_no_run_logs_is_refused(small_run):
    config = compose_run([*small_run, "select.metric=val/left_accuracy"])
    with pytest.raises(ConfigError, match=r"did you mean val/left_acc?"):
        check_heads(config, read_heads_of(config)[0])


@pytest.mark.parametrize(
    ("metric", "mode"), [("val/sum_mae", "min"), ("val/sum_balanced_acc", "max")]
)
def test_a_run_may_be_judged_by_what_its_heads_log_further(small_run, metric, mode):
    config = compose_run([*small_run, f"select.metric={metric}", f"select.mode={mode}"])
    check_heads(config, read_heads_of(config)[0])


def test_a_metric_that_other_kinds_of_heads_log_is_refused(small_run):
    config = compose_run([*small_run, "select.metric=val/left_mae", "select.mode=min"])
    with pytest.raises(ConfigError) as error:
        check_heads(config, read_heads_of(config)[0])
    assert str(error.value) == (
        "select.metric: no run logs val/left_mae; did you mean val/left_acc? "
        "(one of: val/acc_mean, val/left_acc, val/left_loss, val/right_acc, val/right_loss, "
        "val/sum_acc, val/sum_loss, val/sum_mae, val/sum_balanced_acc, val/acc_best, "
        "val/acc_spread, val/loss)"
    )


@pytest.mark.parametrize(
    ("metric", "mode", "message"),
    [
        ("val/sum_mae", "max", "val/sum_mae is better the lower it is; write select.mode=min"),
        ("val/acc_mean", "min", "val/acc_mean is better the higher it is; write select.mode=max"),
    ],
)
def test_a_mode_that_keeps_the_worst_epoch_is_refused(small_run, metric, mode, message):
    config = compose_run([*small_run, f"select.metric={metric}", f"select.mode={mode}"])
    with pytest.raises(ConfigError) as error:
        check_heads(config, read_heads_of(config)[0])
    assert str(error.value) == f"select.mode: {message}"


@pytest.fixture
def fine_only(fine_coarse, small_run):
    """Overrides of a run on the head that tells another one, beside a third."""
    return [*small_run, f"data.data_dir={fine_coarse}", "model.train_heads=[fine]"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["select.metric=val/noise_acc"],
            (
                "select.metric: val/noise_acc cannot judge runs, since model.train_heads leaves "
                "noise without a prediction; write val/fine_acc"
            ),
        ),
        (
            ["model.train_heads=fien"],
            (
                "model.train_heads: the data has no such head; did you mean fine? (heads: coarse, "
                "fine, noise)"
            ),
        ),
        (
            ["model.primary_head=noise"],
            (
                "model.primary_head: model.train_heads leaves noise out, and no trained head "
                "implies it; write one of the heads: coarse, fine"
            ),
        ),
        (
            ["model.loss_weights.noise=2"],
            (
                "model.loss_weights.noise: model.train_heads leaves the head out, so its loss "
                "weighs nothing; take the loss weight out, or add noise to model.train_heads"
            ),
        ),
    ],
)
def test_what_names_a_head_that_is_left_out_is_refused(fine_only, overrides, message):
    config = compose_run([*fine_only, *overrides])
    with pytest.raises(ConfigError) as error:
        check_heads(config, read_heads_of(config)[0])
    assert str(error.value) == message


def test_the_determining_head_alone_predicts_the_other_as_well(fine_only, tmp_path):
    overrides = [*fine_only, "select.metric=val/coarse_acc", "trainer.max_epochs=6"]
    config = compose_run(overrides)
    heads, shape = read_heads_of(config)
    check_heads(config, heads)
    try_one_step(config, heads, shape)
    result = run_in(tmp_path, overrides)
    assert result.metrics["val/coarse_acc"] > result.metrics["val/coarse_acc_chance"]
    tested = evaluate_test(config, Path(result.checkpoint))
    assert tested["test/coarse_acc"] > tested["test/coarse_acc_chance"]
    assert not [name for name in {**result.metrics, **tested} if "noise" in name]


def test_heads_that_would_log_one_name_are_refused(small_run):
    heads = [Head("x", 4, is_skewed=True), Head("x_balanced", 4)]
    with pytest.raises(ConfigError, match=r"data: the heads x and x_balanced would both log"):
        check_heads(compose_run(small_run), heads)


def test_a_mode_is_max_or_min(small_run):
    config = compose_run([*small_run, "select.mode=best"])
    with pytest.raises(ConfigError, match=r"select.mode: 'best' is no mode; write max or min"):
        check_heads(config, read_heads_of(config)[0])


def test_a_run_leaves_its_result_and_its_best_checkpoint(small_run, tmp_path):
    rows = []
    result = run_in(tmp_path, [*small_run, "model.loss_weights.left=2.0"], rows.append)
    assert RunResult.read(tmp_path) == result
    assert result.metrics == rows[result.epoch - 1].metrics
    assert result.metrics["val/acc_mean"] == max(row.metrics["val/acc_mean"] for row in rows)
    assert [row.epoch for row in rows] == [1, 2]
    assert (result.seed, result.workers, result.global_batch) == (12345, 1, 60)
    assert result.samples_per_rank == (540,)
    assert (
        "model.loss_weights.left=2.0"
        in json.loads((tmp_path / "result.json").read_text())["overrides"]
    )


def test_one_seed_gives_the_same_metrics_twice(small_run, tmp_path):
    first = run_in(tmp_path / "a", small_run)
    assert run_in(tmp_path / "b", small_run).metrics == first.metrics


def test_another_seed_gives_other_metrics(small_run, tmp_path):
    first = run_in(tmp_path / "a", small_run)
    assert run_in(tmp_path / "b", [*small_run, "seed=1"]).metrics != first.metrics


STEP_LR = (
    "model.scheduler={_target_: torch.optim.lr_scheduler.StepLR, _partial_: true, "
    "step_size: 1, gamma: 0.5}"
)


@pytest.mark.parametrize(
    "scheduler", [[], [STEP_LR], ["scheduler=plateau", "model.scheduler.patience=-1"]]
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(small_run, tmp_path, scheduler):
    overrides = [*small_run, *scheduler, "trainer.max_epochs=3"]
    whole = run_in(tmp_path / "whole", overrides)

    def stop(row):
        if row.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run_in(tmp_path / "part", overrides, stop)
    last = tmp_path / "part" / "last.ckpt"
    rows = []
    resumed = run_in(tmp_path / "part", overrides, rows.append, resume_from=last)
    assert [row.epoch for row in rows] == [2, 3]
    assert resumed.metrics == whole.metrics


def test_a_run_that_had_finished_reports_its_last_epoch_again(small_run, tmp_path):
    first = run_in(tmp_path, small_run)
    rows = []
    again = run_in(tmp_path, small_run, rows.append, resume_from=tmp_path / "last.ckpt")
    assert [row.epoch for row in rows] == [2]
    assert again == first


def test_a_checkpoint_is_made_of_tensors_and_plain_values(small_run, tmp_path):
    run_in(tmp_path, small_run)
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]


def test_a_loss_that_is_not_finite_ends_the_run(small_run, tmp_path):
    with pytest.raises(DivergedError, match=r"epoch 1"):
        run_in(tmp_path, [*small_run, "model.optimizer.lr=1e30"])


def test_a_run_ends_where_validation_alone_diverges(small_run, tmp_path, monkeypatch):
    healthy = SimpleCNN.forward

    def overflowing(self, images):
        scale = 1.0 if self.training else math.inf
        return {name: scale * logits for name, logits in healthy(self, images).items()}

    monkeypatch.setattr(SimpleCNN, "forward", overflowing)
    with pytest.raises(DivergedError) as error:
        run_in(tmp_path, small_run)
    assert str(error.value).startswith("val/left_loss: nan in epoch 1, but train's losses are")


def test_the_test_split_is_evaluated_from_a_checkpoint(small_run, tmp_path):
    result = run_in(tmp_path, small_run)
    metrics = evaluate_test(compose_run(small_run), tmp_path / "best.ckpt")
    assert set(metrics) >= {"test/left_acc", "test/right_acc", "test/sum_acc", "test/acc_mean"}
    assert set(metrics) >= {"test/sum_mae", "test/sum_balanced_acc"}
    assert not any(name.startswith("test/") for name in result.metrics)


def test_a_directory_that_cannot_be_written_is_named(small_run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/run: cannot be written \(Not a directory\)"):
        run_in(tmp_path / "file" / "run", small_run)


def test_a_checkpoint_that_does_not_exist_is_named(small_run, tmp_path):
    with pytest.raises(ConfigError, match=r"ckpt_path: there is no file nowhere.ckpt"):
        run_in(tmp_path, [*small_run, "ckpt_path=nowhere.ckpt"])


def test_a_run_without_validation_says_what_to_write(small_run, tmp_path):
    with pytest.raises(ConfigError, match=r"epoch 1 logged no val/acc_mean to be judged by"):
        run_in(tmp_path, [*small_run, "trainer.limit_val_batches=0"])


def test_a_run_of_no_epochs_is_refused(small_run, tmp_path):
    with pytest.raises(ConfigError, match=r"trainer.max_epochs: no epoch was trained"):
        run_in(tmp_path, [*small_run, "trainer.max_epochs=0"])


def test_a_run_resumed_elsewhere_brings_its_best_checkpoint_along(small_run, tmp_path):
    run_in(tmp_path / "a", small_run)
    worse = [*small_run, "trainer.max_epochs=3", "model.optimizer.lr=0.5"]
    last = tmp_path / "a" / "last.ckpt"
    result = run_in(tmp_path / "b", [*worse, f"ckpt_path={last}"])
    assert load_model(compose_run(small_run), Path(result.checkpoint))
    assert result.epochs == 3


def test_a_model_is_loaded_with_the_split_that_it_was_trained_with(small_run, tmp_path):
    run_in(tmp_path, [*small_run, "data.seed=5", "data.val_fraction=0.5"])
    datamodule, _ = load_model(compose_run(small_run), tmp_path / "best.ckpt")
    assert datamodule.get_dataset_info()["num_val_samples"] == 300


def test_a_trial_in_a_job_of_slurm_trains_alone(monkeypatch):
    job = {"NTASKS": "4", "PROCID": "3", "LOCALID": "1", "NODEID": "1"}
    for name, value in (job | {"JOB_NAME": "mhray", "JOB_ID": "7"}).items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    trainer = build_trainer(compose_run([]), [], None)
    assert (trainer.world_size, trainer.global_rank) == (1, 0)


def test_a_trainer_that_cannot_be_made_says_where(small_run, tmp_path):
    with pytest.raises(ConfigError, match=r"^trainer: .*abacus"):
        run_in(tmp_path, [*small_run, "trainer.accelerator=abacus"])


def test_what_the_trainer_refuses_of_the_data_says_where(small_run, tmp_path):
    with pytest.raises(ConfigError, match=r"^trainer: .*`limit_val_batches`"):
        run_in(tmp_path, [*small_run, "trainer.limit_val_batches=0.001"])


def test_an_override_that_cannot_be_read_is_named():
    with pytest.raises(ConfigError, match=r"^trainer.max_epochs=\[: no viable alternative"):
        compose_run(["trainer.max_epochs=["])


def test_a_network_that_does_not_fit_the_data_is_refused(small_run):
    config = compose_run([*small_run, "model.net.input_channels=1"])
    heads, shape = read_heads_of(config)
    with pytest.raises(ConfigError, match=r"model.net.input_channels"):
        try_one_step(config, heads, shape)
