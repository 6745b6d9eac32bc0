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


@pytest.fixture
def told(tmp_path):
    """Trials 0 and 1, in the hands of a process each; tells of an error in that of trial 1."""
    processes = [object(), object()]
    lost = LostToMemory(TrialFiles(str(tmp_path)), Guard())
    trials = [
        SimpleNamespace(config={"number": n}, temporary_state=SimpleNamespace(ray_actor=process))
        for n, process in enumerate(processes)
    ]
    lost.on_step_begin(1, trials)

    def tell(error):
        heard = []
        with lost.told():
            manager = tune_controller.RayActorManager(SimpleNamespace(clear=lambda: None))
        manager.cleanup()  # as Tune does in between, which makes it anew
        tracked = TrackedActor(1, on_error=lambda _actor, error: heard.append(error))
        manager._live_actors_to_ray_actors_resources[tracked] = (processes[1], None)
        manager._cleanup_actor = lambda tracked_actor: None
        manager._actor_task_failed(TrackedActorTask(tracked), error)
        return heard

    return tell


def test_its_trial_alone_has_failed_and_says_what_it_died_of(told, tmp_path):
    [error] = told(ENDED)
    assert isinstance(error, RayActorError)
    failure = Failure.read(tmp_path / "1")
    assert (failure.reason, failure.headline) == ("NoMemory", WORD)
    assert failure.text == f"{WORD}\n\n{ENDED}"
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_another_death_is_told_as_it_was(told, tmp_path):
    death = RayActorError(error_msg="killed")
    assert told(death) == [death]
    assert list(tmp_path.iterdir()) == []


def test_tune_is_as_before_once_the_sweep_has_ended(told):
    told(ENDED)
    assert tune_controller.RayActorManager is RayActorManager
