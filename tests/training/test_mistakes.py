"""What ends a run before it trains: one table of values, and the command with one of each kind."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from mhray.errors import ConfigError
from mhray.training.mistakes import check_config
from mhray.training.run import compose_run

WORDS = "tags: should be a list of words, such as [first,wide], found"
WHOLE = "should be a whole number of at least 1, found"
SEED = "seed: should be a whole number from 0 to 4294967295, found"
LIMIT = "should be a number above 0, or null for all batches, found"
VALUES = {
    "tags=5": f"{WORDS} 5",
    "tags=null": f"{WORDS} null",
    "tags=first": f'{WORDS} "first"',
    "tags=[1, two]": f'{WORDS} [1, "two"]',
    "seed=x": f'{SEED} "x"',
    "seed=-1": f"{SEED} -1",
    "seed=4294967296": f"{SEED} 4294967296",
    "workers=0": f"workers: {WHOLE} 0",
    "workers=7": "data.batch_size: 64 images cannot be shared by 7 workers; write a multiple of 7",
    "per_worker=null": "per_worker.cpus: should be a number above 0, found null\n"
    "per_worker.gpus: should be a number of at least 0, found null\n"
    "per_worker.elastic: should be true or false, found null",
    "per_worker.gpus=-1": "per_worker.gpus: should be a number of at least 0, found -1",
    "per_worker.memory=2": "per_worker.memory: should be a size such as 512MiB or 2GiB, or null, "
    "found 2",
    "select.metric=null": "select.metric: should be text, found null",
    "test=maybe": 'test: should be true or false, found "maybe"',
    "ckpt_path=5": "ckpt_path: should be the path of a .ckpt file, or null, found 5",
    "data.data_dir=null": "data.data_dir: should be text, found null",
    "data.source=1": "data.source: should be the name of a data set that can be built, or null, "
    "found 1",
    "data.augment=flip": "data.augment: should be null, or what is done to training images, as in "
    '{crop: 4, flip: true}, found "flip"',
    "model.net=null": "model.net: should be a network with its _target_, as in configs/model, "
    "found null",
    "model.optimizer=adam": "model.optimizer: should be an optimiser with its _target_, as in "
    'configs/module, found "adam"',
    "model.optimizer.lr=hot": 'model.optimizer.lr: should be a number, found "hot"',
    "model.scheduler=step": "model.scheduler: should be a scheduler with its _target_, chosen by "
    'scheduler=OPTION, or null, found "step"',
    "model.scheduler={_target_: StepLR, step_size: 0}": f"model.scheduler.step_size: {WHOLE} 0",
    "model.loss_weights=5": "model.loss_weights: should be a loss weight for each head, as in "
    "model.loss_weights.left=2.0, found 5",
    "logger={foo: 1}": "logger: should be loggers with their _target_, chosen by logger=OPTION, "
    'found {"foo": 1}',
    "trainer.max_epochs=0": f"trainer.max_epochs: {WHOLE} 0",
    "trainer.max_epochs=null": f"trainer.max_epochs: {WHOLE} null",
    "trainer.max_epochs=true": f"trainer.max_epochs: {WHOLE} true",
    "trainer.limit_train_batches=0": f"trainer.limit_train_batches: {LIMIT} 0",
    "trainer.limit_val_batches=0": f"trainer.limit_val_batches: {LIMIT} 0",
    "trainer.limit_val_batches=0.0": f"trainer.limit_val_batches: {LIMIT} 0.0",
    "trainer.limit_test_batches=false": f"trainer.limit_test_batches: {LIMIT} false",
    "trainer.gradient_clip_val=much": "trainer.gradient_clip_val: should be a number of at least "
    '0, or null for none, found "much"',
    "trainer.logger=true": "trainer.logger: should be false, since loggers are a group of their "
    "own, as in logger=csv, found true",
    "trainer.enable_checkpointing=false": "trainer.enable_checkpointing: should be true, since a "
    "run keeps its last and its best epoch, found false",
    "trainer.devices=2": "trainer.devices: should be left out, since workers say how many there "
    "are, found 2",
    "trainer.check_val_every_n_epoch=2": "trainer.check_val_every_n_epoch: should be 1, since "
    "each epoch is judged, found 2",
}


@pytest.fixture(scope="module")
def config():
    return compose_run([])


@pytest.mark.parametrize("override", VALUES)
def test_a_value_that_nothing_else_checks_is_refused(config, override):
    wrong, (path, _, text) = config.copy(), override.partition("=")
    OmegaConf.update(wrong, path, yaml.safe_load(text), force_add=True)
    with pytest.raises(ConfigError) as error:
        check_config(wrong)
    assert str(error.value) == VALUES[override]


@pytest.mark.parametrize(
    "override",
    [
        *("tags=[]", "tags=[first]", "seed=0", "workers=2", "per_worker.gpus=0.5", "ckpt_path=x"),
        *("trainer.limit_val_batches=0.1", "trainer.limit_val_batches=2", "trainer.logger=null"),
        *("model.loss_weights=null", "model.weighting=null", "logger=null", "model.scheduler=null"),
    ],
)
def test_a_value_that_fits_is_let_through(config, override):
    fitting, (path, _, text) = config.copy(), override.partition("=")
    OmegaConf.update(fitting, path, yaml.safe_load(text), force_add=True)
    check_config(fitting)


COMMANDS = {
    "tags=first": VALUES["tags=first"],
    "+select.foo=1": "select.foo: unknown key; one of: metric, mode",
    "+model.weighting.foo=1": "model.weighting.foo: unknown key; one of: normalise",
    "scheduler.step_size=3": "scheduler.step_size: unknown key; write model.scheduler.step_size=3 "
    "with scheduler=step",
    "scheduler=null": "scheduler: null is no option; write scheduler=none (one of: cosine, none, "
    "plateau, step)",
    "data.val_fraction=2": "data.val_fraction: found 2; write a number between 0 and 1",
    "model.optimizer.lr=-1": "model.optimizer: Invalid learning rate: -1; `--cfg job` prints it",
    "scheduler=plateau model.scheduler.factor=2": "model.scheduler: Factor should be < 1.0.; "
    "`--cfg job` prints it",
    "trainer.precision=bf16-mixed trainer.gradient_clip_val=1": "model.optimizer.fused: true, but "
    "with trainer.precision=bf16-mixed a fused optimiser's gradients cannot be clipped "
    "(trainer.gradient_clip_val); write model.optimizer.fused=false",
    "model.net.input_channels=1": "model.net.input_channels: 1, but the data's images have 3 "
    "channels; write model.net.input_channels=3",
}


@pytest.mark.parametrize("mistake", COMMANDS)
def test_a_mistake_ends_the_command_with_one_message(typed, small_run, mistake):
    code, out, error = typed(*small_run, *mistake.split(" "), "hydra.run.dir=here")
    assert (code, out, error) == (2, "", f"error: {COMMANDS[mistake]}\n")
    assert not Path("here", "config.yaml").exists()


def test_a_mistake_in_a_multirun_is_told_too(typed, small_run):
    code, _, error = typed("-m", *small_run, "scheduler=null,step")
    assert (code, error) == (2, f"error: {COMMANDS['scheduler=null']}\n")


def test_a_mistake_leaves_no_run_in_mlflow(typed, small_run):
    store = "logger.mlflow.tracking_uri=sqlite:///mlflow.db"
    assert typed(*small_run, "logger=mlflow", store, "model.optimizer.lr=-1")[0] == 2
    assert not Path("mlflow.db").exists()
