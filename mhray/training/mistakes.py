"""Values of a run's config that would end it late, or not as meant; all told before it trains.

A path is here if no class checks its value: it is read by mhray itself, or a library takes it and
then does something else.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf

from mhray.errors import ConfigError
from mhray.training.sizes import WHAT_FITS, bytes_of
from mhray.training.unknown_keys import refuse_stray_keys


class Rule(NamedTuple):
    """Whether a value fits, and what would."""

    fits: Callable[[Any], bool]
    what_fits: str


def check_config(config: DictConfig) -> None:
    """Refuse what cannot be the config of a run, whatever its data.

    Raises:
        ConfigError: one line for each key that is unknown, or else for each wrong value.
    """
    refuse_stray_keys(config)
    problems = [
        f"{path}: should be {rule.what_fits}, found {_shown(value)}"
        for path, rule in _RULES.items()
        if not rule.fits(value := OmegaConf.select(config, path))
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    check_shares(config)


def check_shares(config: DictConfig) -> None:
    """Refuse a batch that cannot be cut into as many slices as there are workers.

    Raises:
        ConfigError: with the numbers that can.
    """
    if type(config.data.batch_size) is int and config.data.batch_size % config.workers:
        raise ConfigError(
            f"data.batch_size: {config.data.batch_size} images cannot be shared by "
            f"{config.workers} workers; write a multiple of {config.workers}"
        )


def _is_whole(value: Any, least: int, most: float = float("inf")) -> bool:
    return type(value) is int and least <= value <= most


def _is_number_above_0(value: Any) -> bool:
    return type(value) in (int, float) and value > 0


def _is_part(value: Any) -> bool:
    return isinstance(value, DictConfig) and "_target_" in value


def _are_words(value: Any) -> bool:
    return isinstance(value, ListConfig) and all(type(word) is str for word in value)


_SWITCH = Rule(lambda value: type(value) is bool, "true or false")
_TEXT = Rule(lambda value: type(value) is str, "text")
_COUNT = Rule(lambda value: _is_whole(value, 1), "a whole number of at least 1")
_LIMIT = Rule(
    lambda value: value is None or _is_number_above_0(value),
    "a number above 0, or null for all batches",
)
_RULES: Mapping[str, Rule] = {
    "tags": Rule(_are_words, "a list of words, such as [first,wide]"),
    "seed": Rule(
        lambda value: _is_whole(value, 0, 2**32 - 1), "a whole number from 0 to 4294967295"
    ),
    "workers": _COUNT,
    "per_worker.cpus": Rule(_is_number_above_0, "a number above 0"),
    "per_worker.gpus": Rule(
        lambda value: type(value) in (int, float) and value >= 0, "a number of at least 0"
    ),
    "per_worker.memory": Rule(
        lambda value: value is None or (type(value) is str and bytes_of(value) is not None),
        WHAT_FITS,
    ),
    "per_worker.elastic": _SWITCH,
    "select.metric": _TEXT,
    "test": _SWITCH,
    "ckpt_path": Rule(
        lambda value: value is None or type(value) is str, "the path of a .ckpt file, or null"
    ),
    "logger": Rule(
        lambda value: value is None or all(map(_is_part, value.values())),
        "loggers with their _target_, chosen by logger=OPTION",
    ),
    "data.data_dir": _TEXT,
    "data.source": Rule(
        lambda value: value is None or type(value) is str,
        "the name of a data set that can be built, or null",
    ),
    "data.augment": Rule(
        lambda value: value is None or isinstance(value, DictConfig),
        "null, or what is done to training images, as in {crop: 4, flip: true}",
    ),
    "model.net": Rule(_is_part, "a network with its _target_, as in configs/model"),
    "model.optimizer": Rule(_is_part, "an optimiser with its _target_, as in configs/module"),
    "model.optimizer.lr": Rule(
        lambda value: value is None or type(value) in (int, float), "a number"
    ),
    "model.scheduler": Rule(
        lambda value: value is None or _is_part(value),
        "a scheduler with its _target_, chosen by scheduler=OPTION, or null",
    ),
    "model.scheduler.step_size": Rule(
        lambda value: value is None or _is_whole(value, 1), "a whole number of at least 1"
    ),
    "model.loss_weights": Rule(
        lambda value: value is None or isinstance(value, DictConfig),
        "a loss weight for each head, as in model.loss_weights.left=2.0",
    ),
    "trainer.max_epochs": _COUNT,
    "trainer.limit_train_batches": _LIMIT,
    "trainer.limit_val_batches": _LIMIT,
    "trainer.limit_test_batches": _LIMIT,
    "trainer.gradient_clip_val": Rule(
        lambda value: value is None or (type(value) in (int, float) and value >= 0),
        "a number of at least 0, or null for none",
    ),
    "trainer.logger": Rule(
        lambda value: value is None or value is False,
        "false, since loggers are a group of their own, as in logger=csv",
    ),
    "trainer.enable_checkpointing": Rule(
        lambda value: value in (None, True), "true, since a run keeps its last and its best epoch"
    ),
    "trainer.devices": Rule(
        lambda value: value is None, "left out, since workers say how many there are"
    ),
    "trainer.check_val_every_n_epoch": Rule(
        lambda value: value in (None, 1), "1, since each epoch is judged"
    ),
}


def _shown(value: Any) -> str:
    """A value as one would write it in YAML."""
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return json.dumps(plain, ensure_ascii=False, default=str)
