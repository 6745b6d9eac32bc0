"""Where results come from: versions and commit, so that they can be had again."""

import platform
import subprocess
from importlib.metadata import version

from mhray.training.project import PACKAGE, is_checkout

PACKAGES = ("mhray", "torch", "torchvision", "lightning", "ray", "optuna", "mlflow", "hydra-core")


def origin() -> dict[str, str]:
    """Versions of Python and of what decides a result, and the commit if there is one."""
    versions = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **versions, "commit": commit()}


def commit() -> str:
    """The commit that runs, marked if the work tree differs from it; empty outside a checkout."""
    if not is_checkout():
        return ""
    command = ["git", "-C", str(PACKAGE.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return described.stdout.strip()
