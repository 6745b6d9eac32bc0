import pytest

from mhray.errors import ConfigError
from mhray.training.timing import GpuNeed
from mhray.tuning.capacity import Capacity, parallel_trials
from mhray.tuning.packing import packed, shares_gpus
from mhray.tuning.study import Resources

GIB = 2**30


def sharing(gpus, **more):
    return Resources.model_validate({"per_worker": {"gpus": gpus, "cpus": 0.1}, **more})


@pytest.mark.parametrize(
    ("gpus", "needed", "trials"),
    [
        (0.25, 2, 4),  # 8 of 8 GiB
        (0.25, 2.01, 3),
        (0.25, 3, 2),
        (0.25, 7, 1),
        (0.5, 1, 2),  # four would fit, and two were asked for
        (0.1, 1, 8),
    ],
)
def test_as_many_trials_share_a_gpu_as_its_memory_holds(gpus, needed, trials):
    packing = packed(sharing(gpus), GpuNeed(int(needed * GIB), 8 * GIB))
    assert parallel_trials(packing.resources, Capacity(8, 1, "a machine")) == trials
    assert parallel_trials(packing.resources, Capacity(8, 3, "a machine")) == 3 * trials


def test_fewer_trials_than_were_asked_for_are_explained():
    packing = packed(sharing(0.25), GpuNeed(3 * GIB, 8 * GIB))
    assert packing.reason == (
        "4 trials of 3 GiB each do not fit into the 8 GiB of a GPU; 2 at a time share one"
    )
    assert not packed(sharing(0.25), GpuNeed(2 * GIB, 8 * GIB)).reason


def test_a_gpu_too_small_for_one_trial_is_refused():
    with pytest.raises(ConfigError) as error:
        packed(sharing(0.25), GpuNeed(9 * GIB, 8 * GIB))
    assert str(error.value) == (
        "resources.per_worker.gpus: one trial needs 9 GiB, and a GPU has 8 GiB; write a smaller "
        "data.batch_size, or search smaller networks"
    )


@pytest.mark.parametrize(("gpus", "shares"), [(0, False), (0.25, True), (0.6, False), (1, False)])
def test_only_trials_that_share_a_gpu_are_measured(gpus, shares):
    assert shares_gpus(sharing(gpus)) == shares
