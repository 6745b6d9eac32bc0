"""The checkpoint that a run goes on from, checked before anything is trained.

Lightning would restore it piece by piece, and fail at the first that does not fit, in words of
PyTorch's, when the run has begun to write.
"""

import csv
import pickle
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from omegaconf import DictConfig
from torch.optim import Optimizer

from mhray.durable import replacing
from mhray.errors import ConfigError
from mhray.models.module import MultiheadLitModule

Saved: TypeAlias = dict[str, Any]  # what Lightning writes of a run, and mhray's own part of it

_UNREADABLE = (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError, zlib.error)
_WHICH = "write the path of a last.ckpt or best.ckpt"


def check_checkpoint(
    path: Path, module: MultiheadLitModule, optimizer: Optimizer, max_epochs: int
) -> None:
    """Refuse a checkpoint that a run cannot go on from.

    The module is this run's, configured; it takes over what the checkpoint says beside the weights.

    Raises:
        ConfigError: it is not there; or of other heads, another network, optimiser or schedule; or
            nothing is left to train.
    """
    saved = read_checkpoint(path)
    _check_heads(saved, module)
    _check_network(saved, module)
    _check_optimizer(saved, optimizer)
    _check_epochs(saved, max_epochs)
    module.on_load_checkpoint(saved)
    module.configure_optimizers()


def read_checkpoint(path: Path) -> Saved:
    """What a run has saved.

    Raises:
        ConfigError: the file is not there, or no checkpoint of a run.
    """
    if not path.is_file():
        raise ConfigError(f"ckpt_path: there is no file {path}; write the path of a .ckpt file")
    try:
        return _content(path)
    except _NotWholeError as error:
        raise ConfigError(f"ckpt_path: {path} is no checkpoint{error}; {_WHICH}") from None


def why_not_whole(path: Path) -> str | None:
    """What is wrong with a file that should be a run's checkpoint; None if nothing is."""
    if not path.is_file():
        return "is gone"
    try:
        _content(path)
    except _NotWholeError as error:
        return f"is no checkpoint{error}"
    return None


def mend(directory: Path) -> str | None:
    """Have a whole ``last.ckpt`` in a directory, or none; returns what was wrong and what was done.

    What is damaged is set aside, as ``last.ckpt.damaged``. A run then goes on from its best epoch,
    or begins again.
    """
    last, best = directory / "last.ckpt", directory / "best.ckpt"
    damaged = [path for path in (last, best) if path.is_file() and why_not_whole(path)]
    reason = why_not_whole(last) if last in damaged else None
    for path in damaged:
        path.replace(path.with_name(f"{path.name}.damaged"))
    if last not in damaged:
        return None
    if not best.is_file():
        return f"{last} {reason}; the trial begins again"
    with replacing(last) as draft:
        shutil.copyfile(best, draft)
    return f"{last} {reason}; the trial goes on from best.ckpt"


class _NotWholeError(Exception):
    """What stands behind "is no checkpoint"."""


def _content(path: Path) -> Saved:
    try:
        # PyTorch does not compare the checksums that it writes.
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        saved: Saved = torch.load(path, map_location="cpu", weights_only=True)
    except zipfile.BadZipFile:
        raise _NotWholeError from None
    except _UNREADABLE as error:
        raise _NotWholeError(f" ({str(error).partition(chr(10))[0]})") from None
    if broken:
        raise _NotWholeError(f" ({broken} is damaged)")
    found = saved if isinstance(saved, dict) else ()
    missing = {"state_dict", "optimizer_states", "epoch", "mhray"}.difference(found)
    if missing:
        raise _NotWholeError(f" of a run, since it lacks {', '.join(sorted(missing))}")
    return saved


def take_over(start: Path, best: Path) -> None:
    """Have the best checkpoint so far, which lies beside ``start``, beside those to come.

    Raises:
        ConfigError: ``start`` is not there, or no checkpoint.
    """
    read_checkpoint(start)
    earlier = start.with_name("best.ckpt")
    if best.is_file() or not earlier.is_file():
        return
    with replacing(best, is_shared=True) as draft:  # by all ranks
        shutil.copyfile(earlier, draft)


def earlier_epochs(config: DictConfig) -> list[tuple[int, dict[str, float]]]:
    """What the CSV logger wrote of the epochs that a run does not train again, for its loggers.

    Lightning's CSV logger empties its file where it goes on in the same directory. Nothing if the
    run starts anew, has no such logger, or goes on from one that had none.
    """
    logger = (config.get("logger") or {}).get("csv")
    if not (config.ckpt_path and logger and type(logger.version) is str):
        return []
    start = Path(config.ckpt_path)
    table = start.parent / logger.name / logger.version / "metrics.csv"
    if not table.is_file():
        return []
    trained = read_checkpoint(start)["epoch"] + 1
    return [(step, row) for step, row in _rows(table) if step <= trained]


def _check_heads(saved: Saved, module: MultiheadLitModule) -> None:
    theirs, ours = saved["mhray"]["heads_config"], module.net.heads_config or {}
    if theirs != ours:
        raise ConfigError(
            f"ckpt_path: it is of other heads, {_listed(theirs)}, and the data have "
            f"{_listed(ours)}; write the data.data_dir that it was trained on"
        )


def _check_network(saved: Saved, module: MultiheadLitModule) -> None:
    theirs, ours = _shapes(saved["state_dict"]), _shapes(module.state_dict())
    for name in [*ours, *theirs]:
        if theirs.get(name) != ours.get(name):
            raise ConfigError(
                f"ckpt_path: it is of another network: {name} is {theirs.get(name, 'not there')}, "
                f"and in this run {ours.get(name, 'not there')}; write the model that it was "
                "trained with, as in the config.yaml beside it"
            )


def _check_optimizer(saved: Saved, optimizer: Optimizer) -> None:
    (theirs, *_), (ours, *_) = saved["optimizer_states"][0]["param_groups"], optimizer.param_groups
    if missing := sorted(ours.keys() - theirs.keys()):
        raise ConfigError(
            f"ckpt_path: it is of another optimiser, which has no {', '.join(missing)}; write the "
            "model.optimizer that it was trained with, as in the config.yaml beside it"
        )


def _check_epochs(saved: Saved, max_epochs: int) -> None:
    epochs = saved["epoch"] + 1
    if max_epochs <= epochs:
        raise ConfigError(
            f"trainer.max_epochs: should be above {epochs}, the epochs that ckpt_path has been "
            f"trained for, found {max_epochs}; write {epochs + 1} or more"
        )


def _rows(table: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """The epochs in a CSV logger's file, without what it says of the test split.

    Raises:
        ConfigError: it is no such file.
    """
    try:
        lines = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
        rows = [{key: float(text) for key, text in line.items() if text} for line in lines]
        epochs = [(int(row.pop("step")), row) for row in rows]
    except (KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{table}: cannot be read as a table of epochs; move it away, or write logger=none"
        ) from None
    return ((step, row) for step, row in epochs if not any(key.startswith("test/") for key in row))


def _listed(heads: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({classes} classes)" for name, classes in heads.items())


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    return {
        name: "x".join(map(str, tensor.shape)) or "one number" for name, tensor in state.items()
    }
