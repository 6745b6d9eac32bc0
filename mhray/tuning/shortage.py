"""What a study asks for and the machines can never give: cores, GPUs, memory, room on the disk."""

from collections.abc import Iterator
from pathlib import Path

from mhray.training.sizes import as_size
from mhray.tuning.candidates import range_of_runs
from mhray.tuning.capacity import Capacity
from mhray.tuning.study import Resources, Study
from mhray.tuning.world import FreeBytes
from mhray.tuning.yaml_lines import Location

# A parameter of 4 bytes, and AdamW's two moments of it; other optimisers keep as many or fewer.
BYTES_OF_A_PARAMETER = 12
CHECKPOINTS_OF_A_TRIAL = 2  # last.ckpt and best.ckpt
FOLDERS = ("checkpoints", "confirmation")


def missing_resources(resources: Resources, available: Capacity) -> Iterator[tuple[Location, str]]:
    """What can never be given of each kind of resource."""
    worker = resources.per_worker
    yield from _missing("cpus", "CPUs", resources, worker.cpus, available.cpus)
    yield from _missing("gpus", "GPUs", resources, worker.gpus, available.gpus)
    yield from _missing("memory", "memory", resources, worker.memory_bytes, available.memory)


def missing_room(
    study: Study, parameters: int, free_bytes: FreeBytes, at_a_time: int = 1
) -> Iterator[tuple[Location, str]]:
    """Whether the disk is too small for the checkpoints that the budget implies.

    Args:
        study: what it has written already is not counted again.
        parameters: of its largest network.
        free_bytes: the room on the disk of a directory.
        at_a_time: how many trials run.
    """
    directory = Path(study.storage).resolve() / study.name
    files = (file for name in FOLDERS for file in directory.glob(f"{name}/*/*.ckpt"))
    kept = sum(file.stat().st_size for file in files)
    trials = most_with_checkpoints(study, at_a_time)
    needed = trials * checkpoint_bytes(parameters) - kept
    if needed > (free := free_bytes(directory)):
        fewer = "fewer trials" if trials >= study.budget.trials else "a smaller keep_checkpoints"
        message = (
            f"the checkpoints of {trials} trials take {as_size(needed)} in "
            f"{study.storage}, where {as_size(free)} are free; write a storage with more room, or "
            f"{fewer}"
        )
        yield ("budget", "trials"), message


def most_with_checkpoints(study: Study, at_a_time: int) -> int:
    """How many trials have checkpoints at most: those that are kept, trial 0, and those that run.

    A Pareto front may be of all of them. Those of a confirmation keep all theirs.
    """
    runs = range_of_runs(study, study.confirm)[1] if study.confirm else 0
    if study.keeps_all_checkpoints or len(study.objectives) > 1:
        return study.budget.trials + runs
    return runs + min(study.budget.trials, (study.keep_checkpoints or 0) + 1 + at_a_time)


def checkpoint_bytes(parameters: float) -> float:
    """What a trial keeps on the disk."""
    return CHECKPOINTS_OF_A_TRIAL * BYTES_OF_A_PARAMETER * parameters


def _missing(
    kind: str, noun: str, resources: Resources, each: float, available: float
) -> Iterator[tuple[Location, str]]:
    workers, parallel = resources.workers_per_trial, resources.parallel_trials
    shown = as_size if kind == "memory" else "{:g}".format
    if each > available:
        message = f"{shown(each)} {noun} can never be given, since there are {shown(available)}"
        remedy = f"write {shown(available).replace(' ', '')} or less"
        yield ("resources", "per_worker", kind), f"{message}; {remedy}"
    elif each * workers > available:
        needed = shown(each * workers)
        message = f"{workers} workers need {needed} {noun}, but there are {shown(available)}"
        location = ("resources", "workers_per_trial")
        yield location, f"{message}; write {int(available / each)} or less"
    elif parallel != "auto" and each * workers * parallel > available:
        needed = shown(each * workers * parallel)
        message = f"{parallel} trials need {needed} {noun}, but there are {shown(available)}"
        fitting = int(available / (each * workers))
        yield ("resources", "parallel_trials"), f"{message}; write {fitting} or less, or auto"
