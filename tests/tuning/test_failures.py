from traceback import FrameSummary

import pytest
import torch
from ray.train.v2.api.exceptions import WorkerGroupError

from mhray.errors import ConfigError, DivergedError, WorkerLostError
from mhray.tuning.failures import KILLED, OWN_CODE, Failure, cause_of, forget_failure, own_frame


def caught(action):
    try:
        action()
    except Exception as error:  # noqa: BLE001  the failure is what is looked at
        return Failure.of(error)
    raise AssertionError("nothing was raised")


def raising(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "cause", "can_pass"),
    [
        (DivergedError("train/left_loss: not finite"), "Diverged", False),
        (MemoryError(), "NoMemory", True),
        (torch.OutOfMemoryError("CUDA out of memory"), "NoMemory", True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "NoMemory", True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), "NoMemory", True),
        (WorkerLostError("a worker is gone"), "Lost", True),
        (RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed."), "Lost", True),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), "Broken", True),
        (torch.AcceleratorError("CUDA error: out of memory"), "NoMemory", True),
        (RuntimeError("shapes differ"), "Raised", False),
        (ConfigError("trainer: no"), "Refused", False),
        (ValueError("mine"), "Raised", False),
        (OSError(5, "Input/output error"), "Raised", False),
    ],
)
def test_only_some_causes_can_pass(error, cause, can_pass):
    assert (cause_of(error).__name__, cause_of(error).can_pass) == (cause, can_pass)


def test_a_failure_shows_the_innermost_frame_of_the_users_own_code():
    failure = caught(lambda: torch.zeros(2) @ torch.zeros(3))
    assert failure.frame.startswith(f"{__file__}:")
    assert failure.frame.endswith("torch.zeros(2) @ torch.zeros(3))")
    assert failure.headline.startswith("RuntimeError: ")
    assert failure.text.startswith("Traceback")


def test_without_code_of_the_users_it_is_the_innermost_frame_of_mhray():
    library = FrameSummary("/x/site-packages/torch/nn.py", 9, "forward")
    ours = [FrameSummary(f"{OWN_CODE}/{name}.py", 1, "train") for name in ("sweep", "train")]
    assert own_frame([*ours, library]) == ours[-1]
    assert own_frame([library]) is None


def test_more_memory_than_there_is_can_pass():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert cause_of(caught.value).can_pass


def test_the_frame_of_a_worker_is_found_in_what_ray_train_says_of_it():
    said = WorkerGroupError('Traceback\n  File "net.py", line 3, in forward\n    x / 0\n', {})
    with pytest.raises(ValueError, match="mine") as caught:
        raise ValueError("mine") from said
    caught.value.__traceback__ = None
    assert Failure.of(caught.value).frame == "net.py:3 in forward: x / 0"


def test_what_mhray_raises_on_purpose_needs_no_traceback():
    failure = caught(raising(DivergedError("train/left_loss: not finite in epoch 3")))
    assert failure == Failure("Diverged", failure.text, "", failure.text)
    assert failure.text == "train/left_loss: not finite in epoch 3"


def test_equal_mistakes_in_one_place_are_one_reason_whatever_they_say():
    def fail(word):
        return caught(lambda: (_ for _ in ()).throw(ValueError(word)))

    assert fail("0.1").reason == fail("0.2").reason
    assert fail("0.1").reason != caught(raising(ValueError("0.1"))).reason


def test_a_failure_is_read_as_it_was_written_until_it_is_forgotten(tmp_path):
    failure = caught(raising(ValueError("line\nlast")))
    failure.write(tmp_path)
    assert Failure.read(tmp_path) == failure
    assert (tmp_path / "failure.txt").read_text() == failure.text
    forget_failure(tmp_path)
    assert Failure.read(tmp_path) == KILLED
