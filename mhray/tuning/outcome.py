"""What a complete study ends with: the test split, read once, and the best model in MLflow.

Each step looks whether it was done before, so the last part of a sweep may be interrupted and
repeated like the rest. A model that was shown to the test split is never shown to it again.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig, OmegaConf

from mhray.data.dataset import CIFAR100MHDataset
from mhray.heads import Head
from mhray.training.epochs import Selection
from mhray.training.run import compose_run, evaluate_test, load_model
from mhray.training.served_model import NetworkSpec, log_best_model
from mhray.tuning.journal import BASELINE, Journal, TrialRecord
from mhray.tuning.recording import MlflowObserver
from mhray.tuning.report import best_of, reproduce_line
from mhray.tuning.study import Study

EXAMPLES = 4  # images kept with the model as its input example


def conclude(
    study: Study,
    text: str,
    heads: tuple[Head, ...],
    config_dir: Path | None,
    journal: Journal,
    mlflow: MlflowObserver,
) -> TrialRecord | None:
    """Evaluate the best trial and trial 0 on test, record and register the best model.

    Returns:
        The best trial; None if no trial is complete.
    """
    selection = Selection(study.select.metric, study.select.mode)
    best = best_of(journal.trials(), selection)
    if best is None:
        mlflow.study_ended("FAIL", None)
        return None
    for number in {best.number, BASELINE}:
        _test_once(journal, number, config_dir)
        mlflow.recorder.trial_tested(number, journal.trial(number).test)
    best = journal.trial(best.number)
    mlflow.study_ended("COMPLETE", best)
    config = compose_run(best.overrides, config_dir)
    if _is_delivered(mlflow):
        _note_run_ids(journal, mlflow)
        run_id = mlflow.recorder.study_run_id or ""
        mlflow.tracking.log_study(
            run_id,
            study_file=text,
            best_config=OmegaConf.to_yaml(config),
            checkpoint=Path(best.checkpoint),
            trials=[_row(record, selection) for record in journal.trials()],
        )
        if study.mlflow.register_best_as is not None:
            _register(study, study.mlflow.register_best_as, best, config, heads, mlflow, run_id)
    return best


def _test_once(journal: Journal, number: int, config_dir: Path | None) -> None:
    record = journal.trial(number)
    if record.test or not record.epochs:
        return
    config = compose_run(record.overrides, config_dir)
    journal.set_test(number, evaluate_test(config, Path(record.checkpoint)))


def _is_delivered(mlflow: MlflowObserver) -> bool:
    return mlflow.recorder.flush(30.0) == 0


def _note_run_ids(journal: Journal, mlflow: MlflowObserver) -> None:
    for record in journal.trials():
        run_id = mlflow.run_id_of(record.number)
        if run_id and not record.mlflow_run_id:
            journal.set_mlflow_run_id(record.number, run_id)


def _register(
    study: Study,
    name: str,
    best: TrialRecord,
    config: DictConfig,
    heads: tuple[Head, ...],
    mlflow: MlflowObserver,
    run_id: str,
) -> str:
    datamodule, module = load_model(config, Path(best.checkpoint))
    arguments: dict[str, Any] = OmegaConf.to_container(config.model.net)  # type: ignore[assignment]
    spec = NetworkSpec(
        network=arguments.pop("_target_"),
        arguments=arguments,
        heads=heads,
        image_shape=datamodule.image_shape,
        channel_mean=tuple(datamodule.channel_mean),
        channel_std=tuple(datamodule.channel_std),
    )
    return log_best_model(
        module.net,
        spec,
        example_images=_example_images(datamodule.data_dir),
        tracking=mlflow.tracking,
        run_id=run_id,
        registered_name=name,
        tags={"mhray.study": study.name, "mhray.trial": str(best.number)},
        description=f"Repeat it with:\n```sh\n{reproduce_line(best)}\n```",
    )


def _example_images(data_dir: Path) -> npt.NDArray[np.uint8]:
    """A few training images, (n, height, width, channels)."""
    images = CIFAR100MHDataset(data_dir).images[:EXAMPLES]
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def _row(record: TrialRecord, selection: Selection) -> dict[str, Any]:
    """A trial as a row of a table."""
    best = record.best_epoch(selection) if record.epochs else None
    return {
        "trial": record.number,
        "state": record.state,
        "epochs": len(record.epochs),
        "best_epoch": best.epoch if best else 0,
        "seconds": round(record.seconds, 1),
        **(best.metrics if best else {}),
        **record.test,
        "overrides": " ".join(record.overrides),
    }
