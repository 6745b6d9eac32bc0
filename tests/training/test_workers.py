"""How many workers a group has, and what of a failed one is told as the run's failure."""

import pytest
import torch
from omegaconf import OmegaConf
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from mhray.errors import DivergedError, WorkerLostError
from mhray.models.cnn import SimpleCNN
from mhray.models.efficientnet import EfficientNet
from mhray.training.workers import _cause_of, _scaling

GONE = WorkerHealthCheckFailedError("killed", RuntimeError("actor died"))
BROKEN = RuntimeError("connection closed by peer")
MISTAKE = ValueError("mine")
DIVERGED = DivergedError("train/left_loss: not finite in epoch 1")


@pytest.mark.parametrize(
    ("failures", "cause"),
    [
        ({0: MISTAKE}, MISTAKE),
        ({0: BROKEN, 1: DIVERGED}, DIVERGED),
        ({}, None),
    ],
)
def test_a_workers_own_exception_is_the_runs(failures, cause):
    error = WorkerGroupError("all of it", failures)
    assert _cause_of(error) is (cause or error)


@pytest.mark.parametrize(
    "error",
    [
        WorkerGroupError("all of it", {0: BROKEN, 1: GONE}),
        ControllerError(RuntimeError("no answer")),
    ],
)
def test_a_process_that_is_gone_is_said_to_be(error):
    assert isinstance(_cause_of(error), WorkerLostError)


@pytest.mark.parametrize(("elastic", "counts"), [(False, (4, 4)), (True, (1, 4))])
def test_an_elastic_group_may_be_of_any_size_up_to_what_was_asked(elastic, counts):
    share = {"cpus": 0.5, "gpus": 1, "memory": "1GiB", "elastic": elastic}
    scaling = _scaling(OmegaConf.create({"workers": 4, "per_worker": share}))
    assert (scaling.min_workers, scaling.max_workers) == counts
    assert scaling.resources_per_worker == {"CPU": 0.5, "GPU": 1, "memory": 2**30}


@pytest.mark.parametrize("kind", [SimpleCNN, EfficientNet])
def test_batch_statistics_of_all_ranks_are_those_of_one_when_evaluated(kind):
    net = kind(3, input_size=16, heads_config={"left": 4}).train()
    images = torch.randn(8, 3, 16, 16)
    net(images)
    shared = torch.nn.SyncBatchNorm.convert_sync_batchnorm(
        kind(3, input_size=16, heads_config={"left": 4})
    )
    shared.load_state_dict(net.state_dict())
    assert any(isinstance(each, torch.nn.SyncBatchNorm) for each in shared.modules())
    assert torch.equal(net.eval()(images)["left"], shared.eval()(images)["left"])
