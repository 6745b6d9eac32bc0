"""One trial of a sweep, in the process that trains it: a run like any other."""

import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ray import tune

from mhray.errors import ClusterError, FullDiskError, StorageError
from mhray.training import workers
from mhray.training.epoch_row import EpochRow
from mhray.training.group_files import LAST
from mhray.training.resume import mend
from mhray.training.run import compose_run
from mhray.training.trial_files import TrialFiles
from mhray.tuning.failures import Failure, cause_of, forget_failure
from mhray.tuning.search import FULL_DISK, UNFIT_NODE
from mhray.tuning.terms import Terms


@dataclass(frozen=True)
class TrialJob:
    """What every trial of a sweep has in common; travels to the workers.

    Attributes:
        files: each trial has a directory of its own among them.
        data_dir: where the driver has the data; a node that lacks them gets its own.
        config_dir: the user's own Hydra groups as a worker finds them, or empty.
        terms: of a cluster, what its nodes have to meet.
    """

    files: TrialFiles
    data_dir: str
    config_dir: str
    terms: Terms | None


def run_trial(assignment: dict[str, Any]) -> None:
    """One trial, in a Tune actor: a run like any other, from its last checkpoint if it has one.

    Only an error that can pass is raised, and Tune starts the trial again while it has retries
    left. Any other would come again, so it is reported, and the trial has failed.
    """
    job: TrialJob = assignment["job"]
    number: int = assignment["number"]
    try:
        if job.terms:
            job.terms.refuse_this_node()
        with job.files.at_hand(number) as directory:
            failure = _failure_of(job, number, assignment["overrides"], directory)
    except (ClusterError, StorageError) as error:
        # The fault of the node, which may have joined later, or of a store that does not answer:
        # nothing that is written here arrives, not even why.
        tune.report({UNFIT_NODE: str(error)})
        return
    if failure:
        tune.report({"failure": failure.headline})


def _failure_of(
    job: TrialJob, number: int, overrides: list[str], directory: Path
) -> Failure | None:
    """Why the trial failed, if it did, for a cause that cannot pass; any other is raised."""
    forget_failure(directory)
    try:
        _run(job, number, overrides, directory)
    except FullDiskError as error:
        # The fault of the disk, not of the trial, which goes on once there is room.
        tune.report({FULL_DISK: str(error)})
    except Exception as error:
        failure = Failure.of(error)
        failure.write(directory)
        if cause_of(error).can_pass:
            raise
        return failure
    finally:
        gc.collect()
    return None


def _run(job: TrialJob, number: int, overrides: list[str], directory: Path) -> None:
    # On a cluster it is relative, to what Ray unpacks there.
    groups = Path(job.config_dir).resolve() if job.config_dir else None
    config = compose_run(overrides, groups)
    # The driver has built the data; a worker that does not see them must not build others.
    config.data.data_dir, config.data.source = job.data_dir, None
    # The driver has looked, and said what it found; but what a trial was killed in comes later.
    mend(directory)
    last = directory / LAST
    workers.run(
        config,
        directory,
        report=_reporting(job.files, number, directory),
        overrides=overrides,
        resume_from=last if last.is_file() else None,
        # Whether a failure can pass is decided here, and Tune counts the retries.
        restarts=0,
        shared=job.files.of_group(number),
    )


def _reporting(files: TrialFiles, number: int, directory: Path) -> Callable[[EpochRow], None]:
    def report(row: EpochRow) -> None:
        # Whoever has seen an epoch can go on from it.
        files.keep(number, directory)
        tune.report(asdict(row))

    return report
