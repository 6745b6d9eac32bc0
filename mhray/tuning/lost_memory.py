"""One trial, not the sweep, when Ray ends a process for its memory.

When a machine has little memory left, Ray ends the process that takes the most. What was asked of
it then fails with an error of a kind that Tune (2.60) does not know, and for which it ends the
whole sweep. Here it is one more dead process, and its trial hears what it died of.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from ray.actor import ActorHandle
from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune import Callback
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


class LostToMemory(Callback):
    """Notes in a trial's directory that Ray has ended its process for the memory that it took.

    Args:
        files: among which a trial's failure is written.
    """

    def __init__(self, files: TrialFiles, guard: Guard) -> None:
        self._files = files
        self._guard = guard
        self._trials: list[Trial] = []

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

    @override
    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._trials = trials

    def _note(self, actor: ActorHandle[Any], text: str) -> None:
        with self._guard:
            for trial in self._trials:
                if trial.temporary_state.ray_actor is actor:
                    number = trial.config["number"]
                    directory = self._files.directory(number)
                    directory.mkdir(parents=True, exist_ok=True)
                    Failure(NoMemory.__name__, WORD, "", f"{WORD}\n\n{text}").write(directory)
                    self._files.tell(number)

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Manager(RayActorManager):
    """Tune's own, for which a process that was ended for its memory is a dead one."""

    tell: ClassVar[Callable[[ActorHandle[Any], str], None]]

    @override
    def _actor_task_failed(
        self, tracked_actor_task: TrackedActorTask, exception: Exception
    ) -> None:
        if isinstance(exception, OutOfMemoryError):
            tracked = tracked_actor_task._tracked_actor  # noqa: SLF001  as Tune's own does
            actor, _ = self._live_actors_to_ray_actors_resources[tracked]
            type(self).tell(actor, str(exception))
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)
