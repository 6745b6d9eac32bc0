"""Where the project's own files lie: beside the package in a checkout, inside it in a wheel.

The YAML files are data, and data of a wheel are found through the package, not through the
directory in which a command happens to be started.
"""

from pathlib import Path

import mhray

PACKAGE = Path(mhray.__file__).resolve().parent


def is_checkout() -> bool:
    """Whether mhray runs from its source tree."""
    return (PACKAGE.parent / "pyproject.toml").is_file()


def shipped_directory() -> Path:
    """The directory that holds ``configs/`` and ``sweeps/``."""
    return PACKAGE.parent if is_checkout() else PACKAGE


def as_shipped(path: Path) -> Path:
    """The file as given, or else the shipped one: an installed mhray has no checkout around it."""
    shipped = shipped_directory() / path
    return shipped if not path.exists() and shipped.is_file() else path


def project_directory() -> Path:
    """The directory that ``paths.*`` means: the checkout, or else where the command is started."""
    return PACKAGE.parent if is_checkout() else Path.cwd()


def config_directory() -> Path:
    """The directory of the Hydra groups of one run."""
    return shipped_directory() / "configs"
