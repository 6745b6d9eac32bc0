"""One trial, not the sweep, when Ray ends a process for its memory.

When a machine has little memory left, Ray ends the process that takes the most. What was asked of
it then fails with an error of a kind that Tune (2.60) does not know, and for which it ends the
whole sweep, or, while the process starts, says nothing to its trial. Here it is one more dead
process, and its trial hears what it died of.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, ClassVar

from ray.air.execution._internal import RayActorManager, TrackedActor
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial
from typing_extensions import override

from mhray.training.trial_files import TrialFiles
from mhray.tuning.failures import Failure, NoMemory
from mhray.tuning.guard import Guard

WORD = (
    "out of memory: Ray ended its process when the machine had too little left; fewer "
    "resources.parallel_trials, or a larger per_worker.memory, leave more to each trial"
)


class LostToMemory:
    """Notes in a trial's directory that Ray has ended its process for the memory that it took.

    Args:
        files: among which a trial's failure is written.
    """

    def __init__(self, files: TrialFiles, guard: Guard) -> None:
        self._files = files
        self._guard = guard

    @contextmanager
    def told(self) -> Iterator[None]:
        """Has Tune take such an end for that of any process that dies, once this has noted it."""
        tunes_own = vars(tune_controller)
        # A class, since Tune's own calls its __init__ again, with its own arguments, to clean up.
        told = {"tell": staticmethod(self._note)}
        tunes_own["RayActorManager"] = type("TellingManager", (_Manager,), told)
        try:
            yield
        finally:
            tunes_own["RayActorManager"] = RayActorManager

    def _note(self, trial: Trial, text: str) -> None:
        with self._guard:
            number = trial.config["number"]
            directory = self._files.directory(number)
            directory.mkdir(parents=True, exist_ok=True)
            # The last line is what lists of trials show, as it is that of a traceback.
            Failure(NoMemory.__name__, WORD, "", f"{text}\n\n{WORD}").write(directory)
            self._files.tell(number)


class _Manager(RayActorManager):
    """Tune's own, for which a process that was ended for its memory is a dead one."""

    tell: ClassVar[Callable[[Trial, str], None]]

    @override
    def _actor_start_failed(self, tracked_actor: TrackedActor, exception: Exception) -> None:
        super()._actor_start_failed(tracked_actor, self._told(tracked_actor, exception))

    @override
    def _actor_task_failed(
        self, tracked_actor_task: TrackedActorTask, exception: Exception
    ) -> None:
        tracked_actor = tracked_actor_task._tracked_actor  # noqa: SLF001  as Tune's own does
        super()._actor_task_failed(tracked_actor_task, self._told(tracked_actor, exception))

    def _told(self, tracked_actor: TrackedActor, exception: Exception) -> Exception:
        if not isinstance(exception, OutOfMemoryError):
            return exception
        # Tune's controller hears of errors, but of those of a process that it no longer needs.
        heard_by = tracked_actor._on_error  # noqa: SLF001
        if isinstance(heard_by, MethodType):
            controller: Any = heard_by.__self__
            type(self).tell(controller._actor_to_trial[tracked_actor], str(exception))  # noqa: SLF001
        return RayActorError(error_msg=str(exception))
