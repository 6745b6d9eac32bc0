import copy
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import lightning
import pytest
import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from sklearn.metrics import balanced_accuracy_score
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

from mhray.errors import ConfigError, DivergedError, HeadMismatchError
from mhray.models.cnn import SimpleCNN
from mhray.models.module import MultiheadLitModule
from mhray.models.weighting import FixedWeighting
from mhray.training.run import compose_run

CONFIGS = Path(__file__).parents[2] / "configs"
HEADS = {"left": 4, "right": 4, "sum": 7}


def make_module(**settings) -> MultiheadLitModule:
    optimizer = settings.pop("optimizer", partial(torch.optim.AdamW, lr=1e-2))
    # Without dropout a run does not depend on what was drawn before it.
    return MultiheadLitModule(settings.pop("net", SimpleCNN(dropout=0.0)), optimizer, **settings)


def by_hand(module, batches, split, weights):
    """The metrics of the whole split at once, by the formulas."""
    images = torch.cat([images for images, _ in batches])
    with torch.no_grad():
        logits = module.eval()(images)
    metrics = {}
    for head in HEADS:
        targets = torch.cat([targets[head] for _, targets in batches])
        metrics[f"{split}/{head}_loss"] = functional.cross_entropy(logits[head], targets).item()
        right = (logits[head].argmax(1) == targets).float()
        metrics[f"{split}/{head}_acc"] = right.mean().item()
    accs = [metrics[f"{split}/{head}_acc"] for head in HEADS]
    weighted = [weights.get(head, 1.0) * metrics[f"{split}/{head}_loss"] for head in HEADS]
    return metrics | {
        f"{split}/loss": sum(weighted),
        f"{split}/acc_mean": sum(accs) / len(accs),
        f"{split}/acc_spread": max(accs) - min(accs),
    }


@pytest.mark.parametrize("split", ["val", "test"])
def test_metrics_equal_the_formulas_over_ragged_batches(split, tensor_data, make_trainer):
    weights = {"left": 2.0, "sum": 0.5}
    module, data = make_module(loss_weights=weights), tensor_data(val=(6, 5, 1))
    evaluate = {"val": make_trainer().validate, "test": make_trainer().test}[split]
    (metrics,) = evaluate(module, datamodule=data, verbose=False)
    expected = by_hand(module, data.val.batches, split, weights)
    best = {"val/acc_best": expected["val/acc_mean"]} if split == "val" else {}
    assert metrics == pytest.approx(expected | best, rel=1e-5)


KINDS = {"ordinal_heads": ("sum",), "skewed_heads": ("left", "sum")}


def further_by_hand(module, batches, split):
    """The metrics of ordinal and skewed heads over the whole split, by the formulas."""
    images = torch.cat([images for images, _ in batches])
    with torch.no_grad():
        predicted = {head: values.argmax(1) for head, values in module.eval()(images).items()}
    true = {head: torch.cat([targets[head] for _, targets in batches]) for head in HEADS}
    return {
        f"{split}/sum_mae": (predicted["sum"] - true["sum"]).abs().float().mean().item(),
        **{
            f"{split}/{head}_balanced_acc": balanced_accuracy_score(true[head], predicted[head])
            for head in KINDS["skewed_heads"]
        },
    }


@pytest.mark.filterwarnings("ignore::UserWarning:sklearn.metrics._classification")
def test_ordinal_and_skewed_heads_log_more_on_every_split(tensor_data, make_trainer):
    module, data, trainer = make_module(), tensor_data(**KINDS), make_trainer()
    trainer.fit(module, datamodule=data)
    assert {"train/sum_mae", "train/left_balanced_acc"} <= set(trainer.callback_metrics)
    expected = further_by_hand(module, data.val.batches, "val")
    logged = {name: trainer.callback_metrics[name].item() for name in expected}
    assert logged == pytest.approx(expected, rel=1e-5)
    (tested,) = trainer.test(module, datamodule=data, verbose=False)
    tested_by_hand = further_by_hand(module, data.val.batches, "test")
    assert {name: tested[name] for name in tested_by_hand} == pytest.approx(tested_by_hand)
    assert {name for name in tested if name.endswith(("_mae", "balanced_acc"))} == {*tested_by_hand}


@pytest.mark.parametrize("kind", ["ordinal_heads", "skewed_heads"])
def test_a_data_module_that_names_a_head_it_lacks_is_refused(kind, tensor_data, make_trainer):
    with pytest.raises(HeadMismatchError) as error:
        make_trainer().fit(make_module(), datamodule=tensor_data(**{kind: ("smu",)}))
    assert str(error.value) == (
        "get_dataset_info: the data has no such head; did you mean sum? (heads: left, right, sum)"
    )


def test_two_heads_with_one_metrics_name_are_refused_before_the_first_step(
    tensor_data, make_trainer
):
    data = tensor_data(heads={"x": 4, "x_balanced": 4}, skewed_heads=("x",))
    with pytest.raises(ConfigError, match="would both log x_balanced_acc; rename one of them"):
        make_trainer().fit(make_module(), datamodule=data)


def plain_train_loss(net, batches):
    """The mean loss over the samples of one epoch of a loop written by hand."""
    optimizer, total = torch.optim.AdamW(net.parameters(), lr=1e-2), 0.0
    for images, targets in batches:
        logits = net(images)
        loss = sum(functional.cross_entropy(logits[head], targets[head]) for head in HEADS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
    return total / sum(len(images) for images, _ in batches)


def test_the_train_loss_equals_that_of_a_plain_loop(tensor_data, make_trainer):
    module, data, trainer = make_module(), tensor_data(), make_trainer()
    module.net.configure(data.shape, HEADS)
    expected = plain_train_loss(copy.deepcopy(module.net), data.train.batches)
    trainer.fit(module, datamodule=data)
    assert trainer.callback_metrics["train/loss"].item() == pytest.approx(expected, rel=1e-5)


def test_two_runs_of_one_seed_give_the_same_metrics(tensor_data, make_trainer):
    metrics = []
    for _ in range(2):
        lightning.seed_everything(3, verbose=False)
        trainer = make_trainer(max_epochs=2)
        trainer.fit(make_module(), datamodule=tensor_data())
        metrics.append(trainer.callback_metrics)
    assert metrics[0] == metrics[1]


def test_heads_and_criteria_come_from_the_data(tensor_data, make_trainer):
    module = make_module()
    make_trainer().fit(module, datamodule=tensor_data())
    assert module.net.heads_config == HEADS
    assert list(module.criteria) == list(HEADS)


def test_a_network_with_heads_needs_no_data_module(tensor_data, make_trainer):
    net = SimpleCNN(3, input_size=16, heads_config=HEADS)
    module, data = make_module(net=net, auto_configure_from_dataset=False), tensor_data()
    make_trainer().fit(module, data.train, data.val)
    assert list(module.criteria) == list(HEADS)


def test_predictions_are_the_logits_of_every_head(tensor_data, make_trainer):
    module, data = make_module(), tensor_data()
    module.configure(data.shape, HEADS)
    first, second = make_trainer().predict(module, data.val)
    assert {name: tuple(logits.shape) for name, logits in second.items()} == {
        "left": (5, 4),
        "right": (5, 4),
        "sum": (5, 7),
    }
    torch.testing.assert_close(first, module.eval()(data.val.batches[0][0]))


def test_a_trained_module_is_evaluated_without_its_data_module(tensor_data, make_trainer):
    module, data = make_module(), tensor_data()
    make_trainer().fit(module, datamodule=data)
    (tested,) = make_trainer().test(module, data.val, verbose=False)
    (validated,) = make_trainer().validate(module, data.val, verbose=False)
    expected = by_hand(module, data.val.batches, "test", {})
    assert tested == pytest.approx(expected, rel=1e-5)
    assert validated["val/loss"] == pytest.approx(expected["test/loss"], rel=1e-5)


def test_a_module_is_configured_without_a_trainer(tensor_data):
    module = make_module(loss_weights={"sum": 3.0})
    module.configure((3, 16, 16), HEADS)
    assert list(module.criteria) == list(HEADS)
    assert module.weighting.weights_in_use().tolist() == [1.0, 1.0, 3.0]
    with pytest.raises(HeadMismatchError, match=r"model\.primary_head: the data has no such head"):
        make_module(primary_head="lft").configure((3, 16, 16), HEADS)


class LastHeadFirst(SimpleCNN):
    def forward(self, images):
        return dict(reversed(super().forward(images).items()))


def test_accuracies_are_told_apart_by_name_not_by_order(tensor_data, make_trainer):
    module, data = make_module(net=LastHeadFirst(dropout=0.0)), tensor_data(val=(40,))
    (metrics,) = make_trainer().test(module, datamodule=data, verbose=False)
    assert metrics == pytest.approx(by_hand(module, data.val.batches, "test", {}), rel=1e-5)


@pytest.mark.parametrize(
    ("automatic", "message"),
    [
        (
            True,
            (
                "model.auto_configure_from_dataset: true, but the Trainer has no data module; pass "
                "datamodule=..., or write false and give model.net its heads_config"
            ),
        ),
        (
            False,
            (
                "model.net: its heads are not known; write model.auto_configure_from_dataset=true, "
                "or give model.net heads_config, input_channels and input_size"
            ),
        ),
    ],
)
def test_heads_that_nobody_knows_are_refused(automatic, message, tensor_data, make_trainer):
    module, data = make_module(auto_configure_from_dataset=automatic), tensor_data()
    with pytest.raises(ConfigError) as error:
        make_trainer().fit(module, data.train, data.val)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"loss_weights": {"lft": 2.0}}, "model.loss_weights.lft"),
        ({"primary_head": "lft"}, "model.primary_head"),
    ],
)
def test_unknown_heads_are_refused_before_the_first_step(
    settings, where, tensor_data, make_trainer
):
    with pytest.raises(HeadMismatchError) as error:
        make_trainer().fit(make_module(**settings), datamodule=tensor_data())
    assert str(error.value) == (
        f"{where}: the data has no such head; did you mean left? (heads: left, right, sum)"
    )


def test_a_scheduler_without_its_arguments_is_refused_at_construction():
    with pytest.raises(ConfigError, match="StepLR needs step_size"):
        make_module(scheduler=StepLR)


def test_an_optimizer_class_is_accepted_as_it_is(tensor_data, make_trainer):
    trainer = make_trainer()
    trainer.fit(make_module(optimizer=torch.optim.Adam), datamodule=tensor_data())
    assert type(trainer.optimizers[0]) is torch.optim.Adam


def test_a_scheduler_steps_once_an_epoch(tensor_data, make_trainer):
    trainer = make_trainer(max_epochs=2)
    module = make_module(scheduler=partial(StepLR, step_size=1, gamma=0.5))
    trainer.fit(module, datamodule=tensor_data())
    assert trainer.optimizers[0].param_groups[0]["lr"] == 1e-2 / 4


def test_a_plateau_lowers_the_rate_once_the_accuracy_stays_as_it_is(tensor_data, make_trainer):
    module = make_module(scheduler=partial(ReduceLROnPlateau, patience=1, factor=0.5))
    trainer = make_trainer(max_epochs=5)
    # Of one class, all are right. The third and the fifth epoch are the second without more.
    trainer.fit(module, datamodule=tensor_data(heads={"only": 1}))
    assert trainer.optimizers[0].param_groups[0]["lr"] == 1e-2 / 4


@pytest.mark.parametrize(("primary", "followed"), [(None, "acc_mean"), ("sum", "sum_acc")])
def test_a_plateau_and_the_best_follow_an_accuracy(primary, followed, tensor_data, make_trainer):
    frozen = partial(torch.optim.SGD, lr=0.0)
    module = make_module(
        optimizer=frozen,
        scheduler=partial(ReduceLROnPlateau, patience=0, factor=0.5),
        primary_head=primary,
    )
    trainer = make_trainer()
    trainer.fit(module, datamodule=tensor_data())
    (config,) = trainer.lr_scheduler_configs
    assert config.monitor == f"val/{followed}"
    assert config.scheduler.best == trainer.callback_metrics[f"val/{followed}"]
    assert trainer.callback_metrics["val/acc_best"] == trainer.callback_metrics[f"val/{followed}"]


@pytest.fixture
def first_epoch(tensor_data, make_trainer, tmp_path):
    """The checkpoint of a run after its first epoch."""
    saver = ModelCheckpoint(tmp_path / "saved")
    make_trainer(callbacks=[saver]).fit(make_module(), datamodule=tensor_data())
    return Path(saver.best_model_path).rename(tmp_path / "first.ckpt")


@pytest.fixture
def resume(tensor_data, make_trainer, tmp_path):
    def resume_from(checkpoint, epochs, data=None):
        module = make_module()
        trainer = make_trainer(max_epochs=epochs, callbacks=[ModelCheckpoint(tmp_path / "saved")])
        trainer.fit(module, None, None, data or tensor_data(), checkpoint, weights_only=True)
        return module, trainer.callback_metrics

    return resume_from


def test_the_best_accuracy_survives_a_resume(first_epoch, resume):
    checkpoint = torch.load(first_epoch, weights_only=True)
    checkpoint["mhray"]["best_acc"] = 0.999
    torch.save(checkpoint, first_epoch)
    _, metrics = resume(first_epoch, epochs=2)
    assert metrics["val/acc_best"].item() == pytest.approx(0.999)


def test_a_resumed_run_ends_as_an_uninterrupted_one(first_epoch, resume, tensor_data, make_trainer):
    torch.manual_seed(0)
    whole = make_module()
    make_trainer(max_epochs=3).fit(whole, datamodule=tensor_data())
    resumed, _ = resume(first_epoch, epochs=3)
    torch.testing.assert_close(resumed.net.state_dict(), whole.net.state_dict())


@pytest.fixture
def cosine_of_three(tensor_data, make_trainer, tmp_path):
    """The checkpoint of a run whose rate has fallen along a cosine of three epochs."""
    module = make_module(scheduler=partial(CosineAnnealingLR, T_max=3))
    trainer = make_trainer(max_epochs=3)
    trainer.fit(module, datamodule=tensor_data())
    trainer.save_checkpoint(tmp_path / "cosine.ckpt")
    return tmp_path / "cosine.ckpt"


def test_a_cosine_is_not_stretched_by_a_resume(cosine_of_three, tensor_data, make_trainer):
    module = make_module(scheduler=partial(CosineAnnealingLR, T_max=6))
    trainer = make_trainer(max_epochs=6)
    with pytest.raises(
        ConfigError, match=r"^ckpt_path: its model\.scheduler\.T_max is 3, and this"
    ):
        trainer.fit(module, None, None, tensor_data(), cosine_of_three, weights_only=True)
    assert trainer.global_step == 0


def test_a_loaded_module_is_trained_with_a_schedule_of_its_own(
    cosine_of_three, tensor_data, make_trainer
):
    module = MultiheadLitModule.load_from_checkpoint(
        cosine_of_three,
        weights_only=True,
        net=SimpleCNN(),
        optimizer=torch.optim.Adam,
        scheduler=partial(StepLR, step_size=1, gamma=0.5),
    )
    trainer = make_trainer()
    trainer.fit(module, datamodule=tensor_data())
    assert trainer.optimizers[0].param_groups[0]["lr"] == 1e-3 / 2


def test_a_run_resumed_after_its_last_epoch_has_nothing_to_log(first_epoch, resume):
    _, metrics = resume(first_epoch, epochs=1)
    assert "train/loss" not in metrics


def test_a_checkpoint_of_other_heads_is_refused(first_epoch, resume, tensor_data):
    with pytest.raises(ConfigError, match="the data's heads are"):
        resume(first_epoch, epochs=2, data=tensor_data(heads={"left": 4}))


def test_a_checkpoint_opens_without_the_data(first_epoch):
    first = MultiheadLitModule.load_from_checkpoint(
        first_epoch, weights_only=True, net=SimpleCNN(), optimizer=torch.optim.Adam
    )
    saved = torch.load(first_epoch, weights_only=True)["state_dict"]
    torch.testing.assert_close(first.state_dict(), saved)


class BestAfterSanityCheck(lightning.Callback):
    best: float

    def on_sanity_check_end(self, trainer, pl_module):
        self.best = pl_module._best_acc


def test_the_sanity_check_sets_no_best(tensor_data, make_trainer):
    watch = BestAfterSanityCheck()
    trainer = make_trainer(num_sanity_val_steps=2, callbacks=[watch], enable_checkpointing=False)
    trainer.fit(make_module(), datamodule=tensor_data())
    assert watch.best == float("-inf")
    assert trainer.callback_metrics["val/acc_best"] >= 0


def test_a_loss_that_is_not_finite_ends_the_run(tensor_data, make_trainer):
    data = tensor_data()
    data.train.batches[1][0][0] = float("nan")
    with pytest.raises(DivergedError) as error:
        make_trainer(max_epochs=3).fit(make_module(), datamodule=data)
    assert str(error.value) == (
        "train/left_loss: not finite in epoch 1; write a smaller model.optimizer.lr, "
        "or trainer.gradient_clip_val=1.0"
    )


def test_gradients_are_clipped_when_the_trainer_says_so(tensor_data, make_trainer):
    module, data = make_module(optimizer=partial(torch.optim.SGD, lr=1.0)), tensor_data()
    module.net.configure(data.shape, HEADS)
    before = copy.deepcopy(module.net)
    make_trainer(gradient_clip_val=1e-9, max_steps=1).fit(module, datamodule=data)
    torch.testing.assert_close(list(module.net.parameters()), list(before.parameters()))


def test_mixed_precision_and_gradient_accumulation_train(tensor_data, make_trainer):
    trainer = make_trainer(precision="bf16-mixed", accumulate_grad_batches=2)
    trainer.fit(make_module(), datamodule=tensor_data())
    assert trainer.global_step == 2
    assert trainer.callback_metrics["train/loss"].isfinite()


def test_clipping_with_a_fused_optimizer_is_refused_before_training(tensor_data, make_trainer):
    module = make_module(optimizer=partial(torch.optim.AdamW, fused=True))
    trainer = make_trainer(precision="bf16-mixed", gradient_clip_val=1.0)
    with pytest.raises(ConfigError) as error:
        trainer.fit(module, datamodule=tensor_data())
    assert str(error.value) == (
        "model.optimizer.fused: true, but with trainer.precision=bf16-mixed a fused optimiser's "
        "gradients cannot be clipped (trainer.gradient_clip_val); write model.optimizer.fused=false"
    )
    assert trainer.global_step == 0


def test_training_lowers_every_heads_loss(tensor_data, make_trainer):
    module, trainer = make_module(), make_trainer(max_epochs=30)
    trainer.fit(module, datamodule=tensor_data())
    assert all(trainer.callback_metrics[f"train/{head}_acc"] > 0.6 for head in HEADS)


def test_a_plain_trainer_with_its_own_callbacks_trains(tensor_data, make_trainer, tmp_path):
    callbacks = [
        ModelCheckpoint(tmp_path, monitor="val/loss"),
        EarlyStopping("val/acc_mean", mode="max", patience=5),
    ]
    trainer = make_trainer(callbacks=callbacks, max_epochs=2)
    trainer.fit(make_module(), datamodule=tensor_data())
    assert Path(callbacks[0].best_model_path).is_file()


def test_a_weighting_is_made_for_the_heads(tensor_data, make_trainer):
    module = make_module(weighting=FixedWeighting, loss_weights={"sum": 3.0})
    make_trainer().fit(module, datamodule=tensor_data())
    assert module.weighting.weights_in_use().tolist() == [1.0, 1.0, 3.0]


@pytest.mark.parametrize("path", sorted((CONFIGS / "model").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_model_file_trains(path, tensor_data, make_trainer):
    config = compose_run([f"model={path.stem}", "model.loss_weights.sum=2.0"])
    trainer = make_trainer()
    trainer.fit(instantiate(config.model, _convert_="all"), datamodule=tensor_data())
    assert "val/acc_best" in trainer.callback_metrics


def test_compile_takes_effect_when_training_is_set_up(tensor_data):
    module = make_module(compile=True)
    module.trainer = lightning.Trainer(accelerator="cpu", logger=False, barebones=True)
    module.trainer.datamodule = tensor_data()
    module.setup("fit")
    assert module.net._compiled_call_impl is not None


@pytest.fixture(scope="module")
def printed_by_two_ranks():
    script = Path(__file__).with_name("two_ranks.py")
    process = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, timeout=600
    )
    return [json.loads(line) for line in process.stdout.splitlines()]


def test_metrics_over_two_ranks_equal_those_of_one(printed_by_two_ranks):
    _, alone, *validated = printed_by_two_ranks[:4]
    assert validated == [pytest.approx(alone, rel=1e-6)] * 2


def test_every_rank_sees_the_same_metrics(printed_by_two_ranks):
    one, other, trained, also_trained = printed_by_two_ranks[4:8]
    assert one == other
    assert trained == also_trained
    assert {"train/sum_acc", "train/sum_mae", "train/left_balanced_acc"} <= set(trained)


def test_one_head_alone_is_trained_by_two_ranks(printed_by_two_ranks):
    trained, also_trained = printed_by_two_ranks[12:]
    assert trained == also_trained
    assert trained["train/loss"] == trained["train/sum_loss"]
    assert "train/left_loss" not in trained


def test_training_brings_in_neither_ray_nor_hydra_nor_mlflow_nor_optuna(printed_by_two_ranks):
    assert printed_by_two_ranks[0] == []
