"""The project's own code, on its way to the nodes of a cluster.

A study may name any class, and a node has only what is installed on it. So what lies in the
directory in which the command was started goes to each node's processes, and from a checkout mhray
itself, as it is here. Data, results and environments stay: they are large, and code needs none.
"""

import shutil
import subprocess
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import walk
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mhray.errors import ConfigError, StorageError
from mhray.training.project import PACKAGE, is_checkout, shipped_directory
from mhray.training.sizes import as_size

MOST_BYTES = 64 * 2**20
NAMED = 3  # of the largest entries, in a refusal
# Wherever they lie, and those that lie beside the code in a project's directory.
NEVER = frozenset(
    {".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox"}
    | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}
)
BESIDE = frozenset(
    {"data", "studies", "runs", "outputs", "multirun", "mlruns", "mlartifacts", "mlflow.db"}
)
GROUPS = "mhray-config-dir"  # the user's own Hydra groups, in the working directory of a process


@dataclass(frozen=True)
class Shipment:
    """What processes on other machines get.

    Attributes:
        environment: keys of Ray's ``runtime_env``.
        config_dir: the user's own Hydra groups as a process finds them, or empty.
    """

    environment: dict[str, Any] = field(default_factory=dict)
    config_dir: str = ""


@contextmanager
def packed(
    config_dir: Path | None, job: dict[str, Any], start: Path | None = None
) -> Iterator[Shipment]:
    """What has to be sent, for as long as it takes Ray to send it.

    Args:
        config_dir: the user's own Hydra groups, if any.
        job: the ``runtime_env`` of the job as which the command was submitted. What it has sent is
            not sent again, since Ray refuses that.
        start: where the command was started.

    Raises:
        ConfigError: the groups lie outside of what the job has sent.
        StorageError: it is too large to be code.
    """
    here = (start or Path.cwd()).resolve()
    with TemporaryDirectory(prefix="mhray-code-") as folder:
        draft = Path(folder)
        environment: dict[str, Any] = {}
        if is_checkout() and "py_modules" not in job and not _is_sent(job, here):
            environment["py_modules"] = [str(_pack_mhray(draft))]
        if "working_dir" in job:
            yield Shipment(environment, _below(here, config_dir))
            return
        work = draft / "work"
        work.mkdir()
        if _holds_code(here):
            _copy(here, work, BESIDE | ({"mhray"} if "py_modules" in environment else set()))
        if config_dir:
            _copy(config_dir.resolve(), work / GROUPS, frozenset())
        if any(work.iterdir()):
            environment["working_dir"] = str(work)
        yield Shipment(environment, GROUPS if config_dir else "")


def _is_sent(job: dict[str, Any], here: Path) -> bool:
    """Whether mhray's checkout is what the job has sent."""
    return "working_dir" in job and PACKAGE.is_relative_to(here)


def _below(here: Path, config_dir: Path | None) -> str:
    """The groups as every process of a job finds them: each has the job's directory."""
    if config_dir is None:
        return ""
    if not config_dir.resolve().is_relative_to(here):
        raise ConfigError(
            f"--config-dir: {config_dir} lies outside of {here}, which the job has sent; write a "
            "directory below it"
        )
    return str(config_dir.resolve().relative_to(here))


def _pack_mhray(draft: Path) -> Path:
    """The package as a wheel has it: with its YAML files inside."""
    target = draft / "mhray"
    ignored = shutil.ignore_patterns(*NEVER)
    shutil.copytree(PACKAGE, target, ignore=ignored)
    for name in ("configs", "sweeps"):
        shutil.copytree(shipped_directory() / name, target / name, ignore=ignored)
    return target


def _holds_code(directory: Path) -> bool:
    """Whether Python could import anything of a directory's own."""
    return any(any(directory.glob(pattern)) for pattern in ("*.py", "*/*.py"))


def _copy(source: Path, target: Path, without: AbstractSet[str]) -> None:
    """Copy what counts as code, but for some entries of the directory.

    Raises:
        StorageError: it is too large for that; the largest entries are named.
    """
    sizes: dict[str, int] = {}
    files = [file for file in _files(source) if file.relative_to(source).parts[0] not in without]
    for file in files:
        entry = file.relative_to(source).parts[0]
        sizes[entry] = sizes.get(entry, 0) + file.stat().st_size
    if (total := sum(sizes.values())) > MOST_BYTES:
        raise StorageError(_too_large(source, total, sizes))
    for file in files:
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _too_large(source: Path, total: int, sizes: dict[str, int]) -> str:
    largest = sorted(sizes, key=lambda entry: sizes[entry], reverse=True)[:NAMED]
    named = ", ".join(f"{entry} ({as_size(sizes[entry])})" for entry in largest)
    return (
        f"{source}: would be sent to every node as the project's code, but has {as_size(total)}, "
        f"of which {named}, and code has {as_size(MOST_BYTES)} at most; start the command where "
        "only code lies, or have git ignore the rest"
    )


def _files(source: Path) -> list[Path]:
    """The files that may be sent: where git knows which, those that it does not ignore."""
    listed = _known_to_git(source)
    found = _walked(source) if listed is None else [source / name for name in listed]
    return [
        file
        for file in found
        if not NEVER.intersection(file.relative_to(source).parts)
        and file.is_file()
        and not file.is_symlink()
    ]


def _known_to_git(source: Path) -> list[str] | None:
    command = ["git", "-C", str(source), "ls-files", "-z", "--cached", "--others"]
    try:
        found = subprocess.run(  # noqa: S603
            [*command, "--exclude-standard"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return [name for name in found.stdout.split("\0") if name]


def _walked(source: Path) -> list[Path]:
    found: list[Path] = []
    for folder, directories, names in walk(source):
        directories[:] = [name for name in directories if name not in NEVER]
        found += [Path(folder) / name for name in names]
    return found
