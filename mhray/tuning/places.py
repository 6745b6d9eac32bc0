"""Where a study's files are: the driver's own directory, and what the trials write.

Resolved once, at the driver, from where the command was started. With an object store only what
trials write is there: the driver's lock, its log and MLflow's outbox need a disk.
"""

from collections.abc import Iterator
from pathlib import Path

from mhray.errors import StorageError
from mhray.training.remote import RemoteDirectory
from mhray.training.trial_files import FilesInStore, TrialFiles
from mhray.tuning.scheduler_kinds import PbtScheduler
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Location

ON_A_DISK = "a storage on a disk that every node mounts"


def is_in_store(study: Study) -> bool:
    """Whether the trials' files are in an object store, and not on a disk."""
    return "://" in study.storage


def directory_of(study: Study) -> Path:
    """The driver's own directory of a study."""
    default: str = Study.model_fields["storage"].default
    storage = default if is_in_store(study) else study.storage
    return Path(storage).resolve() / study.name


def files_of(study: Study) -> TrialFiles:
    """The files of a study's trials."""
    root = str(directory_of(study) / "checkpoints")
    if not is_in_store(study):
        return TrialFiles(root)
    return FilesInStore(root, RemoteDirectory(meeting_place(study)).below("checkpoints").uri)


def meeting_place(study: Study) -> str:
    """The directory that driver and workers have to share, by its path or its URI."""
    if not is_in_store(study):
        return str(directory_of(study))
    return RemoteDirectory(study.storage.rstrip("/")).below(study.name).uri


def unfit_storage(study: Study) -> Iterator[tuple[Location, str]]:
    """What an object store cannot do for a study."""
    if not is_in_store(study):
        return
    store = study.storage
    if store.startswith("memory:"):
        yield ("storage",), f"{store} is the memory of one process; write s3://BUCKET, or a path"
    if study.journal == "auto":
        message = f"{store} holds no journal, which is a file on a disk; write journal: and an "
        yield ("storage",), message + "Optuna URL (postgresql://HOST/DATABASE) or journal-file:PATH"
    if study.resources.workers_per_trial > 1:
        message = f"several workers write into one directory, which {store} cannot be; write 1"
        yield ("resources", "workers_per_trial"), f"{message}, or {ON_A_DISK}"
    if isinstance(study.scheduler, PbtScheduler):
        message = f"a population's trials take over files of others, which {store} cannot do"
        yield ("scheduler", "pbt"), f"{message}; write another scheduler, or {ON_A_DISK}"


def refuse_unreachable(study: Study) -> None:
    """Refuse an object store that does not answer, or that this machine cannot talk to.

    Raises:
        StorageError: with what it said.
    """
    if is_in_store(study):
        RemoteDirectory(study.storage).open()


def refuse_to_move(study: Study) -> None:
    """Refuse to keep a study under another name where its files would have to be moved.

    Raises:
        StorageError: they are in an object store.
    """
    if is_in_store(study):
        raise StorageError(
            f"--fresh: the files of {study.name} are in {study.storage}, where nothing can be "
            "renamed; write another name to start anew"
        )
