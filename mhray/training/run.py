"""One run: from overrides to a trained model and its ``result.json``, in this process.

A trial of a sweep and a command typed by a person are the same run, because both are a list of
overrides that :func:`compose_run` turns into a config. Nothing here knows Ray: the executors of
:mod:`mhray.training.workers` call :func:`train` in the process that is to train.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.data.loader import samples_per_rank
from mhray.data.sources import describe_data
from mhray.durable import write_durably
from mhray.errors import ConfigError, filling, without_password
from mhray.heads import Head, heads_config
from mhray.models.metric_names import refuse_shared_names
from mhray.models.module import MultiheadLitModule
from mhray.models.trained_heads import (
    predicted_heads,
    refuse_other_heads,
    refuse_unpredicted,
    trained_heads,
)
from mhray.models.weighting import FixedWeighting, Weighting
from mhray.training.changes import changes_of, check_heads_of_changes
from mhray.training.changing import ApplyChanges
from mhray.training.cost import MeasureCost, count_parameters
from mhray.training.directory import make_directory
from mhray.training.epoch_row import EpochRow
from mhray.training.epochs import ReportEpoch, SeedEachEpoch
from mhray.training.mistakes import check_config
from mhray.training.overrides import as_hydra_override, no_option, options_of, refused_by_hydra
from mhray.training.parts import build, build_part, build_trainer
from mhray.training.project import config_directory, project_directory
from mhray.training.rehearsal import rehearse
from mhray.training.result import RunResult
from mhray.training.resume import take_over
from mhray.training.selection import Selection
from mhray.training.unknown_keys import refuse_stray_keys, unknown_key
from mhray.training.weighted_loss import why_incomparable

Report: TypeAlias = Callable[[EpochRow], None]

OmegaConf.register_new_resolver("mhray.project_dir", lambda: str(project_directory()), replace=True)


def compose_run(overrides: Sequence[str], config_dir: Path | None = None) -> DictConfig:
    """The config of one run, as ``python -m mhray.train OVERRIDES`` composes it.

    Args:
        overrides: ``path=value``, as typed.
        config_dir: a directory of the user's own groups, searched after the shipped ones.

    Raises:
        ConfigError: an override fits no key, or a value its place.
    """
    searchpath = [f"hydra.searchpath=[file://{config_dir.resolve()}]"] if config_dir else []
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        try:
            typed = [as_hydra_override(override) for override in overrides]
            config = compose("train", overrides=[*searchpath, *typed])
            OmegaConf.resolve(config)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error, overrides)) from None
    refuse_stray_keys(config)
    return config


def explain(error: Exception, overrides: Sequence[str]) -> str:
    """What is wrong with one of the overrides, as typed.

    In our words where it names no key or no word; else Hydra's message, without its advice for
    programmers.
    """
    if isinstance(error.__cause__, ConfigKeyError | ConfigAttributeError):
        return unknown_key(error.__cause__, refused_by_hydra(str(error), overrides))
    if isinstance(error, MissingConfigException) and (missing := error.missing_cfg_file):
        options = error.options or options_of(missing.rpartition("/")[0])
        if options:
            return no_option(missing, options)
    message = str(error).partition("Config search path:")[0]
    lines = [line for line in message.splitlines() if line.strip()]
    kept = [line for line in lines if "HYDRA_FULL_ERROR" not in line and "To append to" not in line]
    where = error.override if isinstance(error, OverrideParseException) else "the config"
    return f"{where}: {' '.join(line.strip() for line in kept)}; `--cfg job` prints every key"


def read_heads_of(config: DictConfig) -> tuple[tuple[Head, ...], tuple[int, int, int]]:
    """The heads and the image shape ``(channels, height, width)`` of a run's data.

    Raises:
        DataNotFoundError: there is no such directory, and no source to build it from.
    """
    return describe_data(Path(config.data.data_dir), config.data.get("source"))


def check_heads(config: DictConfig, heads: Sequence[Head]) -> None:
    """Refuse heads to train, loss weights, a weighting, a primary head or a metric that do not fit.

    Raises:
        HeadMismatchError: with the name that was probably meant, and all heads.
        ConfigError: a run does not log ``select.metric``, or weights it by what changes, or keeps
            its worst epoch; or a loss weight or the primary head is of a head that is left out; or
            two heads would log a metric of one name.
    """
    names = [head.name for head in heads]
    train_heads, primary_head = config.model.get("train_heads"), config.model.get("primary_head")
    trained = trained_heads(train_heads, names)
    weights = config.model.get("loss_weights") or {}
    refuse_other_heads(names, trained, weights, primary_head)
    refuse_unpredicted(primary_head, [head.name for head in predicted_heads(heads, train_heads)])
    refuse_shared_names(names, [head.name for head in heads if head.is_skewed])
    Selection.of(config).check(heads, train_heads)
    classes = {name: heads_config(heads)[name] for name in trained}
    weighting = weighting_of(config.model, classes, weights)
    changes = changes_of(config)
    check_heads_of_changes(changes, trained)
    if problem := why_incomparable(config.select.metric, weighting, changes):
        raise ConfigError(f"select.metric: {problem}")


def weighting_of(
    model: Mapping[str, Any], trained: Mapping[str, int], loss_weights: Mapping[str, float]
) -> Weighting:
    """The weighting of a run's section ``model``, for the classes of the heads that it trains.

    Raises:
        ConfigError: it cannot be made, or there are loss weights and it sets them itself.
    """
    make = build_part(model.get("weighting"), "model.weighting") or FixedWeighting
    try:
        return make(trained, loss_weights)
    except TypeError as error:
        raise ConfigError(f"model.weighting: {error}; `--cfg job` prints it") from error


def train(
    config: DictConfig,
    directory: Path,
    *,
    report: Report,
    overrides: Sequence[str] = (),
    executor: Mapping[str, Any] | None = None,
    resume_from: Path | None = None,
) -> RunResult:
    """Train one model in this process and write its result into ``directory``.

    Args:
        config: as :func:`compose_run` gives it.
        directory: takes ``last.ckpt``, ``best.ckpt``, ``config.yaml`` and ``result.json``.
        report: called after each epoch, once its checkpoint is on disk.
        overrides: recorded in the result.
        executor: what the executor adds to the Trainer: devices, strategy, plugins.
        resume_from: a checkpoint to go on from; ``config.ckpt_path`` if absent.

    Raises:
        StorageError: ``directory`` cannot be written.
        FullDiskError: it could be, and nothing more fits.
        DivergedError: a loss became NaN or infinite.
    """
    make_directory(directory)
    with filling(directory):
        text = without_password(OmegaConf.to_yaml(config))
        write_durably(directory / "config.yaml", text, is_shared=True)  # by all ranks
    seed_everything(config.seed, verbose=False)
    datamodule, module = build(config)

    results: list[RunResult] = []

    def record(row: EpochRow) -> None:
        results.append(_result_of(config, reporter, row, trainer, datamodule, overrides))
        # A trial may be stopped as soon as it reports, so its result stands before that.
        if trainer.is_global_zero:
            results[-1].write(directory)
        report(row)

    selection = Selection.of(config)
    cost = MeasureCost(config.data.batch_size)
    reporter = ReportEpoch(directory, selection, record, cost, repeats_last=resume_from is not None)
    callbacks = [SeedEachEpoch(config.seed), ApplyChanges(config), cost, reporter]
    trainer = build_trainer(config, callbacks, executor)
    start = resume_from or (Path(config.ckpt_path) if config.ckpt_path else None)
    if start is not None:
        take_over(start, reporter.best_path)
    try:
        trainer.fit(module, datamodule=datamodule, ckpt_path=start, weights_only=True)
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {error}; `--cfg job` prints it") from error
    reporter.report_at_least_once()
    if not reporter.has_reported:
        raise ConfigError("trainer.max_epochs: no epoch was trained; write 1 or more")
    return results[-1]


def evaluate_test(config: DictConfig, checkpoint: Path) -> dict[str, float]:
    """The ``test/`` metrics of a checkpoint, on this process's device."""
    datamodule, module = load_model(config, checkpoint)
    trainer = build_trainer(config, [], {"enable_checkpointing": False})
    metrics = trainer.test(module, datamodule=datamodule, verbose=False)
    return {name: float(value) for name, value in metrics[0].items()}


def load_model(
    config: DictConfig, checkpoint: Path
) -> tuple[CIFAR100MHDataModule, MultiheadLitModule]:
    """The data module and the trained module of a run, in evaluation mode, on the CPU."""
    datamodule, module = build(config)
    datamodule.prepare_data()
    datamodule.setup("fit")
    info = datamodule.get_dataset_info()
    module.configure(info["image_shape"], info["heads_config"], info["implied_heads"])
    saved = torch.load(checkpoint, weights_only=True)
    # The split, and with it the normalisation, are the checkpoint's.
    datamodule.load_state_dict(saved[type(datamodule).__qualname__])
    module.load_state_dict(saved["state_dict"])
    return datamodule, module.eval()


def check_run(config: DictConfig) -> None:
    """Everything that can be found wrong with a run before it opens or trains anything.

    Raises:
        ConfigError: a value is wrong, or the network, the data and the checkpoint do not fit.
        DataNotFoundError: there are no data, and no source to build them from.
    """
    check_config(config)
    heads, shape = read_heads_of(config)
    check_heads(config, heads)
    try_one_step(config, heads, shape)


def try_one_step(config: DictConfig, heads: Sequence[Head], shape: tuple[int, int, int]) -> int:
    """One forward and backward on random images: the network fits the data, or an error says why.

    Returns:
        How many parameters the network has.

    Raises:
        ConfigError: the network, its optimiser or the Trainer cannot be built, or a checkpoint to
            go on from is of another run.
    """
    _, module = build(config)
    module.configure(shape, heads_config(heads))
    # Where there are workers, the accelerator is theirs, and need not be here.
    here = {"accelerator": "cpu"} if config.workers > 1 else {}
    trainer = build_trainer(config, [], {"devices": 1, "logger": False, **here})
    make_optimizer = build_part(config.model.optimizer, "model.optimizer")
    rehearse(config, module, make_optimizer, trainer, shape)
    return count_parameters(module.net)


def _result_of(
    config: DictConfig,
    reporter: ReportEpoch,
    row: EpochRow,
    trainer: Trainer,
    datamodule: CIFAR100MHDataModule,
    overrides: Sequence[str],
) -> RunResult:
    ranks = trainer.world_size
    samples = datamodule.get_dataset_info()["num_train_samples"]
    return RunResult(
        metrics=reporter.best.metrics,
        epoch=reporter.best.epoch,
        epochs=row.epoch,
        checkpoint=str(reporter.best_path),
        seed=config.seed,
        overrides=tuple(overrides),
        workers=ranks,
        global_batch=config.data.batch_size,
        samples_per_rank=samples_per_rank(samples, config.data.batch_size, ranks),
        images_per_second=row.images_per_second,
        tags=tuple(config.tags),
    )
