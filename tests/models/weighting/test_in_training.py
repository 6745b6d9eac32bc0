"""Every weighting of `configs/weighting/` in the real module and Trainer."""

import lightning
import pytest
import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Checkpoint

from mhray.errors import ConfigError
from mhray.models.module import MultiheadLitModule
from mhray.training.project import shipped_directory
from mhray.training.run import compose_run

NAMES = sorted(path.stem for path in shipped_directory().glob("configs/weighting/*.yaml"))
HEADS = ("left", "right", "sum")


class KeepWeights(lightning.Callback):
    """The weights in use at each step, and those that are logged, by epoch."""

    def __init__(self):
        self.steps = []
        self.logged = []

    def on_before_backward(self, trainer, module, loss):
        self.steps.append(module.weighting.weights_in_use().clone())

    def on_train_end(self, trainer, module):
        metrics = trainer.callback_metrics
        self.logged = [metrics[f"train/{head}_weight"].item() for head in HEADS]


class SaveSecondEpoch(Checkpoint):
    """Lightning runs these after the module's own epoch end."""

    def __init__(self, path):
        self.path = path

    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch == 1:
            trainer.save_checkpoint(self.path)


def make_module(name: str) -> MultiheadLitModule:
    settings = ["model.net.dropout=0.0", "model.optimizer.lr=0.01"]
    return instantiate(compose_run([f"weighting={name}", *settings]).model, _convert_="all")


def fit(name, trainer, data, checkpoint=None):
    lightning.seed_everything(3, verbose=False)
    module = make_module(name)
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_weight_of_each_head_over_an_epochs_steps_is_logged(
    name, tensor_data, make_trainer
):
    keep = KeepWeights()
    trainer = make_trainer(max_epochs=3, callbacks=[keep], enable_checkpointing=False)
    fit(name, trainer, tensor_data())
    last_epoch = torch.stack(keep.steps).view(3, -1, len(HEADS))[-1]
    assert keep.logged == pytest.approx(last_epoch.mean(0).tolist(), rel=1e-5)
    assert not any(f"val/{head}_weight" in trainer.callback_metrics for head in HEADS)


@pytest.mark.parametrize("name", ["uncertainty", "dwa", "rlw", "famo", "stch"])
def test_a_resumed_run_ends_as_an_uninterrupted_one(name, tensor_data, make_trainer, tmp_path):
    saver = SaveSecondEpoch(tmp_path / "second.ckpt")
    whole = fit(name, make_trainer(max_epochs=4, callbacks=[saver]), tensor_data())
    resumed = fit(name, make_trainer(max_epochs=4), tensor_data(), saver.path)
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
    weights = [module.weighting.weights_in_use() for module in (resumed, whole)]
    torch.testing.assert_close(*weights, rtol=0, atol=0)


def test_a_checkpoint_of_another_weighting_is_refused(tensor_data, make_trainer, tmp_path):
    trainer = make_trainer()
    fit("dwa", trainer, tensor_data())
    trainer.save_checkpoint(tmp_path / "dwa.ckpt")
    with pytest.raises(ConfigError, match=r"^model\.weighting: the checkpoint's is no Uncertainty"):
        fit("uncertainty", make_trainer(), tensor_data(), tmp_path / "dwa.ckpt")


def test_a_weighting_that_learns_is_trained_and_does_not_decay(tensor_data, make_trainer):
    trainer = make_trainer()
    module = fit("uncertainty", trainer, tensor_data())
    network, learned = trainer.optimizers[0].param_groups
    assert (network["weight_decay"], learned["weight_decay"]) == (0.01, 0.0)
    assert learned["params"] == [module.weighting.log_variances]
    assert (module.weighting.log_variances != 0).all()
