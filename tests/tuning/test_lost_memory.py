"""What becomes of a process that Ray ends for its memory, told to the manager that Tune has."""

from types import SimpleNamespace

import pytest
from ray.air.execution._internal import RayActorManager, TrackedActor
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller

from mhray.training.trial_files import TrialFiles
from mhray.tuning.failures import Failure
from mhray.tuning.guard import Guard
from mhray.tuning.lost_memory import WORD, LostToMemory

ENDED = OutOfMemoryError("1 worker(s) were killed due to the node running low on memory")


class Controller:
    """As much of Tune's as a manager calls, with two trials of which 1 has the process."""

    def __init__(self):
        self.heard = []
        self.process = TrackedActor(1, on_error=self.failed)
        trials = [SimpleNamespace(config={"number": number}) for number in range(2)]
        self._actor_to_trial = {TrackedActor(0): trials[0], self.process: trials[1]}

    def failed(self, tracked_actor, error):
        assert tracked_actor is self.process
        self.heard.append(error)


def at_work(manager, process, error):
    manager._actor_task_failed(TrackedActorTask(process), error)


def at_its_start(manager, process, error):
    manager._actor_start_failed(process, error)


@pytest.fixture(params=[at_work, at_its_start])
def told(request, tmp_path):
    """Tells of an error in the process of trial 1; gives what Tune's controller hears."""
    lost = LostToMemory(TrialFiles(str(tmp_path)), Guard())
    controller = Controller()

    def tell(error, *, is_needed=True):
        with lost.told():
            manager = tune_controller.RayActorManager(SimpleNamespace(clear=lambda: None))
        manager.cleanup()  # as Tune does in between, which makes it anew
        manager._cleanup_actor = lambda tracked_actor: None
        if not is_needed:
            controller.process.set_on_error(None)
        request.param(manager, controller.process, error)
        return controller.heard

    return tell


def test_its_trial_alone_has_failed_and_says_what_it_died_of(told, tmp_path):
    [error] = told(ENDED)
    assert isinstance(error, RayActorError)
    failure = Failure.read(tmp_path / "1")
    assert (failure.reason, failure.headline) == ("NoMemory", WORD)
    assert failure.text == f"{ENDED}\n\n{WORD}"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_another_death_is_told_as_it_was(told, tmp_path):
    death = RayActorError(error_msg="killed")
    assert told(death) == [death]
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_process_that_nobody_needs_is_no_failure(told, tmp_path):
    assert told(ENDED, is_needed=False) == []
    assert list(tmp_path.iterdir()) == []


def test_tune_is_as_before_once_the_sweep_has_ended(told):
    told(ENDED)
    assert tune_controller.RayActorManager is RayActorManager
