"""The checkpoint that a run goes on from, checked before anything is trained."""

import pickle
import shutil
from pathlib import Path

import torch

from mhray.errors import ConfigError


def take_over(start: Path, best: Path) -> None:
    """Have the best checkpoint so far, which lies beside ``start``, beside those to come.

    Raises:
        ConfigError: ``start`` is not there, or no checkpoint.
    """
    if not start.is_file():
        raise ConfigError(f"ckpt_path: there is no file {start}; write the path of a .ckpt file")
    try:
        torch.load(start, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, KeyError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"ckpt_path: {start} is no checkpoint ({reason})") from None
    earlier = start.with_name("best.ckpt")
    if best.is_file() or not earlier.is_file():
        return
    shutil.copyfile(earlier, best)
