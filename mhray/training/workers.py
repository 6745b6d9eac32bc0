"""The same run under Ray Train, with one worker or several; docs/workers.md says what is equal.

Two executors, one training loop. One worker runs in Train's local mode, in the caller's process: a
sweep of short trials would otherwise be spent on starting processes. Several workers are a real
worker group with Lightning's Ray strategy, and only a run that asks for them pays for it.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from omegaconf import DictConfig
from ray.exceptions import RayActorError
from ray.train import (
    Checkpoint,
    CheckpointConfig,
    FailureConfig,
    RunConfig,
    ScalingConfig,
    UserCallback,
    get_checkpoint,
    get_context,
)
from ray.train import report as report_to_train
from ray.train.lightning import RayDDPStrategy, RayLightningEnvironment
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError
from ray.util.queue import Empty, Queue
from typing_extensions import override

from mhray.errors import MhrayError, WorkerLostError
from mhray.training.connection import connected
from mhray.training.directory import make_directory
from mhray.training.epoch_row import EpochRow
from mhray.training.group_files import LAST, TRAIN, GroupFiles
from mhray.training.links import LinkedTorch
from mhray.training.mistakes import check_shares
from mhray.training.ray_address import find_ray
from mhray.training.result import RunResult
from mhray.training.run import Report, train
from mhray.training.sizes import bytes_of
from mhray.training.staging import data_at_this_node, shared_data


def run(
    config: DictConfig,
    directory: Path,
    *,
    report: Report,
    overrides: Sequence[str] = (),
    resume_from: Path | None = None,
    restarts: int = 1,
    shared: GroupFiles | None = None,
) -> RunResult:
    """Train one model on ``config.workers`` workers; see :func:`mhray.training.run.train`.

    A group of workers that fails is started again ``restarts`` times, from its last checkpoint.
    ``shared`` is ``directory`` as several workers have it, where they do not see it by its path.

    Raises:
        ConfigError: the batch cannot be cut into as many slices as there are workers.
        StorageError: several workers need Ray, and none can be reached or started.
    """
    if config.workers == 1:
        return _run_here(config, directory, report, overrides, resume_from)
    check_shares(config)
    make_directory(directory)
    files = shared or GroupFiles(str(directory.resolve()))
    group = _Group(config, files, tuple(overrides), _below(directory, resume_from))
    # In a trial Ray is connected already, and the sweep hands out the data.
    if ray.is_initialized():
        return _run_on_group(group, report, restarts)
    data_dir, ray_there = Path(config.data.data_dir).resolve(), find_ray()
    config.data.data_dir = str(data_dir)
    with connected(ray_there, needs_dashboard=True), shared_data(data_dir, ray_there):
        return _run_on_group(group, report, restarts)


@dataclass(frozen=True)
class _Group:
    """A run on several workers; travels to them.

    Attributes:
        files: its directory.
        resume_from: a checkpoint, by its path or from that directory; empty if there is none.
    """

    config: DictConfig
    files: GroupFiles
    overrides: tuple[str, ...]
    resume_from: str


def _below(directory: Path, checkpoint: Path | None) -> str:
    """A checkpoint from a directory that others may have elsewhere, if it lies there."""
    if checkpoint is None:
        return ""
    return str(checkpoint.relative_to(directory) if directory in checkpoint.parents else checkpoint)


def _run_here(
    config: DictConfig,
    directory: Path,
    report: Report,
    overrides: Sequence[str],
    resume_from: Path | None,
) -> RunResult:
    torch.set_num_threads(max(1, int(config.per_worker.cpus)))
    _find_data(config)

    def loop() -> RunResult:
        return train(config, directory, report=report, overrides=overrides, resume_from=resume_from)

    # Ray types the loop as returning nothing, although it hands the value on.
    untyped_loop: Any = loop
    result: Any = TorchTrainer(untyped_loop, scaling_config=ScalingConfig(num_workers=0)).fit()
    returned: RunResult = result.return_value
    return returned


def _run_on_group(group: _Group, report: Report, restarts: int) -> RunResult:
    rows: Queue = Queue(maxsize=1, actor_options={"num_cpus": 0})
    # A name seen before resumes by itself, so nothing of an earlier run may lie there.
    group.files.clear()
    forward: Any = ForwardRows(rows)
    trainer = TorchTrainer(
        _loop_of_one_worker,
        train_loop_config={"group": group},
        torch_config=LinkedTorch(),
        scaling_config=_scaling(group.config),
        run_config=RunConfig(
            name=TRAIN,
            callbacks=[forward],
            failure_config=FailureConfig(max_failures=restarts),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            **group.files.storage(),
        ),
    )
    _forward_while(trainer.fit, rows, report)
    group.files.clear()
    return group.files.result()


def _scaling(config: DictConfig) -> ScalingConfig:
    """How many workers: all of them, or as many as there is room for whenever Train looks."""
    # Ray types the field as in its first version, which had no range.
    workers: Any = (1, config.workers) if config.per_worker.elastic else config.workers
    return ScalingConfig(
        num_workers=workers,
        use_gpu=config.per_worker.gpus > 0,
        resources_per_worker=_resources(config),
    )


def _resources(config: DictConfig) -> dict[str, float]:
    gpus = {"GPU": config.per_worker.gpus} if config.per_worker.gpus > 0 else {}
    memory = bytes_of(config.per_worker.memory)
    return {"CPU": config.per_worker.cpus, **gpus, **({"memory": memory} if memory else {})}


class ForwardRows(UserCallback):
    """Runs in Train's controller: puts each reported row into a queue.

    Not Ray's ``TuneReportCallback``, which reports from the thread that consumes reports and so
    stops a trial for ever when the driver is busy near the trial's end.
    """

    def __init__(self, rows: Queue) -> None:
        self.rows = rows

    @override
    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None
    ) -> None:
        self.rows.put(metrics[0])


def _forward_while(fit: Callable[[], object], rows: Queue, report: Report) -> None:
    """Report the queue's rows from this thread for as long as ``fit`` runs in another."""
    errors: list[BaseException] = []

    def guarded_fit() -> None:
        try:
            fit()
        except BaseException as error:  # noqa: BLE001  raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=guarded_fit, daemon=True)
    thread.start()
    while True:
        is_running = thread.is_alive()
        try:
            # Not get(timeout=...): Ray's queue may lose what arrives as the time runs out.
            report(EpochRow(**rows.get_nowait()))
        except Empty:
            if not is_running:
                break
            time.sleep(0.1)
        except RayActorError as lost:
            raise _lost(lost) from lost
    for error in errors:
        cause = _cause_of(error)
        raise cause from (None if cause is error else error)


def _cause_of(error: BaseException) -> BaseException:
    """What failed, behind what Train says of it: a worker's own exception, or that one is gone."""
    if isinstance(error, ControllerError | RayActorError):
        return _lost(error)
    if not isinstance(error, WorkerGroupError):
        return error
    failures = list(error.worker_failures.values())
    on_purpose = [
        cause
        for failure in failures
        for cause in (failure, failure.__cause__)
        if isinstance(cause, MhrayError)
    ]
    if on_purpose:
        return on_purpose[0]
    # The workers beside one that is gone fail as well: their connection to it broke.
    if any(isinstance(failure, WorkerHealthCheckFailedError) for failure in failures):
        return _lost(error)
    return failures[0] if failures else error


def _lost(error: BaseException) -> WorkerLostError:
    return WorkerLostError(f"workers: a process of the run is gone; start it again ({error})")


def _find_data(config: DictConfig) -> None:
    config.data.data_dir = str(data_at_this_node(Path(config.data.data_dir)))


def _loop_of_one_worker(plan: dict[str, Any]) -> None:
    group: _Group = plan["group"]
    torch.set_num_threads(max(1, int(group.config.per_worker.cpus)))
    _find_data(group.config)
    with group.files.at_hand() as directory, tempfile.TemporaryDirectory() as restored:
        train(
            group.config,
            directory,
            report=lambda row: _report_from_worker(row, group.files, directory),
            overrides=group.overrides,
            executor={
                "devices": "auto",
                "strategy": RayDDPStrategy(),  # type: ignore[no-untyped-call]
                "plugins": [RayLightningEnvironment()],  # type: ignore[no-untyped-call]
                # PyTorch has none for CPUs, where each rank has statistics of its own slice.
                "sync_batchnorm": group.config.per_worker.gpus > 0,
            },
            resume_from=_start_of(group, directory, Path(restored)),
        )


def _start_of(group: _Group, directory: Path, restored: Path) -> Path | None:
    """The checkpoint to go on from: Train's, if it has started the group again."""
    checkpoint = get_checkpoint()
    if checkpoint is not None:
        return Path(checkpoint.to_directory(restored)) / LAST
    return directory / group.resume_from if group.resume_from else None


def _report_from_worker(row: EpochRow, files: GroupFiles, directory: Path) -> None:
    if get_context().get_world_rank() > 0:
        report_to_train(asdict(row))
        return
    files.keep(directory)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(directory / LAST, folder)
        report_to_train(asdict(row), checkpoint=Checkpoint.from_directory(folder))
