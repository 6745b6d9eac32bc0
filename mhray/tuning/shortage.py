"""What a study asks for and the machines can never give: cores, GPUs, memory, room on the disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf

from mhray.training.sizes import as_size
from mhray.tuning.candidates import range_of_runs
from mhray.tuning.capacity import Capacity
from mhray.tuning.page.wording import counted
from mhray.tuning.places import CHECKPOINTS, CONFIRMATION, directory_of, is_in_store
from mhray.tuning.study import Resources, Study
from mhray.tuning.world import FreeBytes
from mhray.tuning.yaml_lines import Location

# A parameter of 4 bytes, and AdamW's two moments of it; other optimisers keep as many or fewer.
BYTES_OF_A_PARAMETER = 12
CHECKPOINTS_OF_A_TRIAL = 2  # last.ckpt and best.ckpt


def missing_resources(resources: Resources, available: Capacity) -> Iterator[tuple[Location, str]]:
    """What can never be given of each kind of resource, or not on one node."""
    worker, most = resources.per_worker, available.largest
    kinds = (
        _Kind("cpus", "CPUs", worker.cpus, available.cpus, most.cpus),
        _Kind("gpus", "GPUs", worker.gpus, available.gpus, most.gpus),
        _Kind("memory", "memory", worker.memory_bytes, available.memory, most.memory),
    )
    found = [finding for kind in kinds for finding in kind.missing(resources)]
    yield from found or _missing_nodes(resources, available)


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
    if is_in_store(study):
        return
    directory = directory_of(study)
    files = (
        file for name in (CHECKPOINTS, CONFIRMATION) for file in directory.glob(f"{name}/*/*.ckpt")
    )
    kept = sum(file.stat().st_size for file in files)
    trials = most_with_checkpoints(study, at_a_time)
    needed = trials * checkpoint_bytes(parameters) - kept
    if needed > (free := free_bytes(directory)):
        fewer = "fewer trials" if trials >= study.budget.trials else "a smaller keep_checkpoints"
        message = (
            f"the checkpoints of {counted(trials, 'trial')} take {as_size(needed)} in "
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


@dataclass(frozen=True)
class _Kind:
    """One kind of resource.

    Attributes:
        key: of ``per_worker``.
        noun: for messages.
        each: what a worker asks for.
        available: what there is of it.
        most: what there is of it on one node.
    """

    key: str
    noun: str
    each: float
    available: float
    most: float

    def missing(self, resources: Resources) -> Iterator[tuple[Location, str]]:
        """What can never be given of it; nothing, if nobody knows how much there is."""
        if isinf(self.available):
            return
        workers, parallel = resources.workers_per_trial, resources.parallel_trials
        shown, each = self._shown, self.each
        there = f"there are {shown(self.available)}"
        if each > self.most:
            on_one = f"no node has more than {shown(self.most)}"
            why = there if self.most == self.available else on_one
            message = f"{shown(each)} {self.noun} can never be given, since {why}"
            yield ("resources", "per_worker", self.key), f"{message}; {self._remedy()}"
        elif each * workers > self.available:
            message = f"{workers} workers need {shown(each * workers)} {self.noun}, but {there}"
            location = ("resources", "workers_per_trial")
            yield location, f"{message}; write {int(self.available / each)} or less"
        elif parallel != "auto" and each * workers * parallel > self.available:
            needed = shown(each * workers * parallel)
            message = f"{parallel} trials need {needed} {self.noun}, but {there}"
            fitting = int(self.available / (each * workers))
            yield ("resources", "parallel_trials"), f"{message}; write {fitting} or less, or auto"

    def _remedy(self) -> str:
        if self.most:
            return f"write {self._shown(self.most).replace(' ', '')} or less"
        return "write 0" if self.key == "gpus" else "add a node to the cluster that has some"

    def _shown(self, amount: float) -> str:
        return as_size(amount) if self.key == "memory" else f"{amount:g}"


def _missing_nodes(resources: Resources, available: Capacity) -> Iterator[tuple[Location, str]]:
    """Workers for which the nodes of a cluster have no room, although all of them together do."""
    workers, parallel = resources.workers_per_trial, resources.parallel_trials
    if not available.nodes:
        return
    fitting = available.fitting(resources.per_worker)
    if not fitting:
        message = "no node has all of it together; write less of one of them"
        yield ("resources", "per_worker"), message
    elif workers > fitting:
        message = f"{workers} workers need as many places, but the nodes have {fitting}"
        yield ("resources", "workers_per_trial"), f"{message}; write {fitting} or less"
    elif parallel != "auto" and parallel * workers > fitting:
        message = f"{parallel} trials need {parallel * workers} places for workers, but the nodes "
        remedy = f"have {fitting}; write {fitting // workers} or less, or auto"
        yield ("resources", "parallel_trials"), message + remedy
