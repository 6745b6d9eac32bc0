"""What `make gpu-check` says where there is no GPU, or no Ray."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks/gpu_check.py"


@pytest.fixture
def gpu_check():
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_all_is_skipped_in_one_line(gpu_check, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu_check.main([]) == 0
    assert capsys.readouterr().out == (
        "gpu-check: skipped, since PyTorch sees no GPU here; run it on a machine that has one\n"
    )


@pytest.mark.parametrize(
    ("has_ray", "needs_ray", "expected"),
    [
        (False, True, ("not verified", "Ray is not installed")),
        (False, False, ("verified", "seen")),
        (True, True, ("verified", "seen")),
    ],
)
def test_what_needs_ray_is_not_verified_without_it(gpu_check, has_ray, needs_ray, expected):
    check = gpu_check.Check("a claim", lambda _: "seen", needs_ray)
    assert gpu_check.outcome(check, Path(), has_ray) == expected


def test_what_fails_is_told_and_ends_nothing(gpu_check):
    def fail(_):
        raise ValueError("too slow")

    failed = gpu_check.outcome(gpu_check.Check("a claim", fail), Path(), True)
    assert failed == ("failed", "ValueError: too slow")
