"""Where results come from: versions, commit and command, so that they can be had again."""

import platform
import shlex
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from mhray.training.project import PACKAGE, is_checkout

PACKAGES = ("mhray", "torch", "torchvision", "lightning", "ray", "optuna", "mlflow", "hydra-core")


def origin() -> dict[str, str]:
    """Versions of Python and of what decides a result, the commit, and a hash of what it lacks."""
    versions = {name: version(name) for name in PACKAGES}
    found = {"python": platform.python_version(), **versions, "commit": commit()}
    return {**found, "diff": diff} if (diff := uncommitted()) else found


def train_command(overrides: Sequence[str], config_dir: Path | None = None) -> str:
    """What to type for a run with these overrides.

    >>> train_command(["model.optimizer.lr=0.001", "data.source=null"])
    'python -m mhray.train model.optimizer.lr=0.001 data.source=null'
    """
    own = [] if config_dir is None else ["--config-dir", str(config_dir)]
    return shlex.join(["python", "-m", "mhray.train", *own, *overrides])


def reproduce_line(overrides: Sequence[str], seed: int, config_dir: Path | None = None) -> str:
    """The command that trains a trial again: the same overrides with another seed are another run.

    >>> reproduce_line(["data.source=null"], 12345)
    'python -m mhray.train data.source=null seed=12345'
    """
    return train_command(with_seed(overrides, seed), config_dir)


def with_seed(overrides: Sequence[str], seed: int) -> list[str]:
    """All overrides of a run: a trial's own, and its seed where they do not name it.

    >>> with_seed(["data.source=null"], 7), with_seed(["seed=7"], 7)
    (['data.source=null', 'seed=7'], ['seed=7'])
    """
    own = f"seed={seed}"
    return [*overrides, *([] if own in overrides else [own])]


def commit() -> str:
    """The commit that runs, marked if the work tree differs from it; empty outside a checkout."""
    if not is_checkout():
        return ""
    return _git("describe", "--always", "--dirty", "--abbrev=12").decode().strip()


def uncommitted() -> str:
    """The sha256 of how the work tree differs from its commit; empty if it does not.

    The difference itself is told nobody: it may hold secrets.
    """
    difference = _git("diff", "HEAD") if is_checkout() else b""
    return sha256(difference).hexdigest() if difference else ""


def _git(*words: str) -> bytes:
    """What git says of the checkout; empty if there is no git, or it refuses."""
    command = ["git", "-C", str(PACKAGE.parent), *words]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return b""
