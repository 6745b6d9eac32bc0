"""Does mhray do on a GPU what it says? Run it where there is one: `make gpu-check`.

The first part goes without Ray: training, images that lie on the device, images per second against
the usual loader, and processes that share the GPU. The second goes through Ray: a run, two trials
on one GPU, and a group of one worker with NCCL. A check is verified, failed or not verified, never
left out; where there is no GPU all is skipped in one line. Exit code 1 if one failed.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torchvision import transforms

from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.data.prepare import main as prepare
from mhray.data.resident import ResidentLoader
from mhray.training.run import compose_run, read_heads_of, train
from mhray.training.sizes import as_size
from mhray.training.timing import gpu_need

DEVICE = "cuda"  # as Lightning and torch call it
EPOCHS = 4
AUGMENT = "data.augment={crop: 4, flip: true}"
SKIPPED = "gpu-check: skipped, since PyTorch sees no GPU here; run it on a machine that has one"


@dataclass(frozen=True)
class Check:
    """What is tried, in words, and how; it returns what it saw, and raises what is wrong."""

    claim: str
    run: Callable[[Path], str]
    needs_ray: bool = False


def run_of(place, *overrides):
    shared = ["experiment=cifar100mh_cnn", f"data.data_dir={place / 'data'}", AUGMENT]
    return compose_run([*shared, f"trainer.max_epochs={EPOCHS}", *overrides])


def images_per_second(config):
    """Of the last epoch, since the first ones allocate and choose kernels."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        train(config, Path(directory), report=rows.append)
    return rows[-1].images_per_second


def main_job(place):
    before = torch.cuda.max_memory_allocated()
    pace = images_per_second(run_of(place))
    assert torch.cuda.max_memory_allocated() > before, "nothing was allocated on the GPU"
    return f"{pace:.0f} images/s"


def resident_batches(place):
    data = CIFAR100MHDataModule(place / "data", augment={"crop": 4, "flip": True, "rotate": 15})
    torch.manual_seed(0)
    expected = [images for images, _ in data.train_dataloader()]
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(DEVICE)))
    loader = data.train_dataloader()
    assert isinstance(loader, ResidentLoader), "images do not lie on the GPU"
    for (images, targets), theirs in zip(loader, expected, strict=True):
        assert {images.device.type, *(each.device.type for each in targets.values())} == {DEVICE}
        torch.testing.assert_close(images.cpu(), theirs, rtol=1e-5, atol=1e-5)
    return f"{len(expected)} batches equal to those of the CPU"


def against_loaders(place):
    ours = images_per_second(run_of(place))
    whole = images_per_second(run_of(place, "data.on_device=false"))
    usual = images_per_second_of_the_usual(place)
    ratios = f"{ours / whole:.1f} times batches from the CPU, {ours / usual:.1f} times the usual"
    return f"{ours:.0f} images/s; {ratios}"


def images_per_second_of_the_usual(place):
    """As a script of torchvision writes it, without training, which would only add to it."""
    steps = [
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
    ]
    data = CIFAR100MHDataModule(place / "data", train_transform=transforms.Compose(steps))
    seen, started = 0, time.monotonic()
    for images, _ in data.train_dataloader():
        images.to(DEVICE)
        seen += len(images)
    return seen / (time.monotonic() - started)


def packed_processes(place):
    alone = sum(paces_of(place, 1))
    together = sum(paces_of(place, 2))
    return f"2 at a time train {together / alone:.2f} times as many images/s as 1"


def paces_of(place, count):
    command = [sys.executable, __file__, "--one", place]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    printed = [process.communicate()[0] for process in running]
    assert not any(process.returncode for process in running), "a process failed"
    return [float(text.splitlines()[-1]) for text in printed]


def memory_of_a_trial(place):
    config = run_of(place)
    need = gpu_need(config, *read_heads_of(config))
    assert 0 < need.needed < need.total
    return f"{as_size(need.needed)} of {as_size(need.total)} in use, with all that is on the GPU"


def one_gpu():
    """The environment of a process that sees the first of the GPUs alone."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    return {**os.environ, "CUDA_VISIBLE_DEVICES": seen}


def command(place, module, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=place,
        env=one_gpu(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
    return done.stdout


def run_with_ray(place):
    out = place / "alone"
    command(place, "mhray.train", *typed(place), "per_worker.gpus=1", f"hydra.run.dir={out}")
    return paced(out)


def group_of_one(place):
    """Elastic, so that of two workers it starts the one that a single GPU has room for."""
    out = place / "group"
    group = ["workers=2", "per_worker.gpus=1", "per_worker.elastic=true"]
    command(place, "mhray.train", *typed(place), *group, f"hydra.run.dir={out}")
    assert json.loads((out / "result.json").read_text())["workers"] == 1
    return paced(out)


def typed(place):
    return ["experiment=cifar100mh_cnn", f"data.data_dir={place / 'data'}", "trainer.max_epochs=2"]


def paced(out):
    return f"{json.loads((out / 'result.json').read_text())['images_per_second']:.0f} images/s"


STUDY = """\
name: packed
base: {experiment: cifar100mh_cnn, trainer.max_epochs: 2, data.data_dir: DATA}
search: {model.optimizer.lr: {log_uniform: [1e-4, 1e-2]}}
budget: {trials: 2}
resources: {per_worker: {cpus: 1, gpus: 0.5}}
"""


def packed_trials(place):
    study = place / "packed.yaml"
    study.write_text(STUDY.replace("DATA", str(place / "data")))
    out = command(place, "mhray.sweep", str(study))
    assert "2 at a time" in out, out[:300]
    assert len(list((place / "studies/packed/checkpoints").glob("*/result.json"))) == 2
    return "2 trials, each with half a GPU"


CHECKS = [
    Check("a run trains on the GPU", main_job),
    Check("images lie on the device, and batches are those of the CPU", resident_batches),
    Check("it trains faster than with other loaders", against_loaders),
    Check("two processes share the GPU", packed_processes),
    Check("what a trial needs is measured", memory_of_a_trial),
    Check("a run trains under Ray", run_with_ray, needs_ray=True),
    Check("two trials are packed on one GPU", packed_trials, needs_ray=True),
    Check("a worker group of one rank trains with NCCL", group_of_one, needs_ray=True),
]


def outcome(check, place, has_ray):
    """The word for it, and what was seen."""
    if check.needs_ray and not has_ray:
        return "not verified", "Ray is not installed"
    try:
        return "verified", check.run(place)
    except Exception as error:  # noqa: BLE001  any failure is a check's outcome
        return "failed", f"{type(error).__name__}: {error}"


def main(arguments):
    if not torch.cuda.is_available():
        print(SKIPPED)
        return 0
    if arguments:
        print(images_per_second(run_of(Path(arguments[1]))))
        return 0
    has_ray = importlib.util.find_spec("ray") is not None
    print(f"gpu-check: {torch.cuda.get_device_name()}, torch {torch.__version__}")
    words = []
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        prepare(["multimnist", str(place / "data"), "--train", "20000", "--test", "100"])
        for check in CHECKS:
            word, seen = outcome(check, place, has_ray)
            words.append(word)
            print(f"{word}: {check.claim} ({seen})", flush=True)
    counted = [f"{words.count(word)} {word}" for word in ("verified", "failed", "not verified")]
    print(f"gpu-check: {', '.join(counted)}")
    return int("failed" in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
