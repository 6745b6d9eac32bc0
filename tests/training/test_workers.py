"""What of a failed group of workers is told as the run's failure."""

import pytest
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from mhray.errors import DivergedError, WorkerLostError
from mhray.training.workers import _cause_of

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
