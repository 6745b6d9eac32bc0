import pytest
from omegaconf import OmegaConf

from mhray.errors import ConfigError
from mhray.training.run import compose_run
from mhray.training.unknown_keys import KEYS_OF_A_RUN, refuse_stray_keys, unknown_arguments

LOGGERS = "one of: csv, mlflow, none, tensorboard, wandb"
KEYS = (
    "paths, data, model, trainer, logger, tags, seed, workers, per_worker, select, test, "
    "ckpt_path, changes"
)
WORDS = f"{KEYS}, experiment, module, scheduler, weighting"
MODELS = ", ".join(
    f"cifar100mh_{family}{size}"
    for family in ("cnn", "convnext", "efficientnet", "vit")
    for size in ("", "_210k", "_64k")
)
NETWORK = (
    "input_channels, conv1_channels, conv2_channels, fc_hidden, input_size, dropout, norm, "
    "heads_config, parameter_budget"
)
STRAY = {
    "nope=1": f"nope: unknown key; one of: {KEYS}",
    "sead=1": f"sead: unknown key; did you mean seed? (one of: {KEYS})",
    "select.foo=1": "select.foo: unknown key; one of: metric, mode",
    "per_worker.gpu=1": "per_worker.gpu: unknown key; did you mean gpus? "
    "(one of: cpus, gpus, memory, elastic)",
}
UNREAD = {
    "model.net.nope=1": f"model.net.nope: unknown key; one of: {NETWORK}",
    "model.weighting.foo=1": "model.weighting.foo: unknown key; one of: normalise",
    "model.optimizer.nesterov=true": "model.optimizer.nesterov: unknown key; one of: lr, betas, "
    "eps, weight_decay, amsgrad, maximize, foreach, capturable, differentiable, fused",
    "model.scheduler.stepsize=3": "model.scheduler.stepsize: unknown key; did you "
    "mean step_size? (one of: step_size, gamma, last_epoch)",
}
LACKING = {
    "sed=3": f"sed: unknown key; did you mean seed? (one of: {WORDS})",
    "schedulr=step": f"schedulr: unknown key; did you mean scheduler? (one of: {WORDS})",
    "trainr.max_epochs=3": f"trainr: unknown key; did you mean trainer? (one of: {WORDS})",
    "max_epochs=3": "max_epochs: unknown key; write trainer.max_epochs=3",
    "optimizer.lr=3": "optimizer.lr: unknown key; write model.optimizer.lr=3",
    "data_dir=x": "data_dir: unknown key; write paths.data_dir=x or data.data_dir=x",
    "logger.csv.name=x": "logger.csv.name: this logger is not chosen; write logger=csv with it",
    "logger.cvs.name=x": f"logger.cvs: unknown key; did you mean csv? ({LOGGERS})",
    "model.scheduler.patience=2": "model.scheduler.patience: there is no scheduler; write "
    "scheduler=plateau with it",
    "model.scheduler.steps=2": "model.scheduler.steps: there is no scheduler; write "
    "scheduler=cosine or scheduler=plateau or scheduler=step with it",
    "scheduler.step_size=3": "scheduler.step_size: unknown key; write model.scheduler.step_size=3 "
    "with scheduler=step",
    "scheduler=cosine model.scheduler.step_size=2": "model.scheduler.step_size: unknown key; one "
    "of: T_max, eta_min",
    "logger=null": f"logger: null is no option; write logger=none ({LOGGERS})",
    "logger=[csv,null]": f"logger: null is no option; write logger=none ({LOGGERS})",
    "logger=false": f"logger: false is no option; write logger=none ({LOGGERS})",
    "scheduler=null": "scheduler: null is no option; write scheduler=none (one of: cosine, none, "
    "plateau, step)",
    "model=null": f"model: null is no option; write one of: {MODELS}",
}


def found(**node):
    return list(unknown_arguments(OmegaConf.create(node), "trainer"))


def test_keys_that_a_target_takes_are_let_through():
    assert found(_target_="torch.nn.Linear", in_features=3, out_features=2, _partial_=True) == []


def test_what_a_node_holds_comes_before_the_node():
    inner = {"_target_": "torch.nn.Dropout", "prob": 0.5}
    assert found(_target_="torch.nn.Flatten", start=1, inner=inner) == [
        "trainer.inner.prob: unknown key; one of: p, inplace",
        "trainer.start: unknown key; did you mean start_dim? (one of: start_dim, end_dim)",
        "trainer.inner: unknown key; one of: start_dim, end_dim",
    ]


def anything(**keys):
    return keys


def test_a_target_that_takes_every_key_has_no_unknown_one(monkeypatch):
    monkeypatch.setattr("torch.nn.Flatten", anything)
    assert found(_target_="torch.nn.Flatten", start=1) == []


@pytest.fixture(scope="module")
def config():
    return compose_run(["scheduler=step"])


def test_the_keys_of_a_run_are_those_of_the_shipped_config(config):
    assert set(KEYS_OF_A_RUN) == set(config)


def with_added(config, override):
    added, (path, _, value) = config.copy(), override.partition("=")
    OmegaConf.update(added, path, value, force_add=True)
    return added


@pytest.mark.parametrize("override", STRAY)
def test_a_key_that_was_added_to_a_run_is_refused(config, override):
    with pytest.raises(ConfigError) as error:
        refuse_stray_keys(with_added(config, override))
    assert str(error.value) == STRAY[override]


def test_all_stray_keys_of_a_file_of_ones_own_are_told(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text("# @package _global_\n{a: 1, select: {b: 1}}")
    with pytest.raises(ConfigError) as error:
        compose_run(["experiment=own"], tmp_path)
    first, second = str(error.value).splitlines()
    assert first == "select.b: unknown key; one of: metric, mode"
    assert second == f"a: unknown key; one of: {KEYS}"


@pytest.mark.parametrize("override", UNREAD)
def test_a_key_that_its_class_does_not_take_is_refused(config, override):
    added = with_added(config, override)
    assert list(unknown_arguments(added.model, "model")) == [UNREAD[override]]


@pytest.mark.parametrize("target", ["nowhere.Class", "torch.nn.Nope", "no name", "builtins.dict"])
def test_what_a_target_takes_is_not_guessed(target):
    assert found(_target_=target, key=1) == []


@pytest.mark.parametrize("mistake", LACKING)
def test_a_key_or_an_option_that_is_not_there_says_what_to_write(mistake):
    with pytest.raises(ConfigError) as error:
        compose_run(mistake.split(" "))
    assert str(error.value) == LACKING[mistake]
