"""What a study ends with: the test split, read once, and the best model in MLflow.

Each step looks whether it was done before, so the end of a sweep may be interrupted and repeated
like the rest, and a finished study needs none of its checkpoints to show its result again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig, OmegaConf

from mhray.data.dataset import CIFAR100MHDataset
from mhray.errors import StorageError
from mhray.training.epochs import Selection
from mhray.training.network_spec import NetworkSpec
from mhray.training.origin import reproduce_line
from mhray.training.registry import Standing, log_best_model
from mhray.training.resume import why_not_whole
from mhray.training.run import compose_run, evaluate_test, load_model
from mhray.training.trial_files import BEST
from mhray.tuning.journal import Journal
from mhray.tuning.places import files_of
from mhray.tuning.record import TrialRecord
from mhray.tuning.recording import MlflowObserver
from mhray.tuning.report import best_of, trials_to_test
from mhray.tuning.study import Study

EXAMPLES = 4  # images kept with the model as its input example
DELIVERY_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """The end of one study.

    Attributes:
        study: with its heads filled in.
        text: the study file, as written.
        config_dir: the user's own Hydra groups, if any.
    """

    study: Study
    text: str
    config_dir: Path | None
    journal: Journal
    mlflow: MlflowObserver

    def test(self) -> None:
        """Evaluate the trials that the study ends with on the test split, unless that is done.

        Raises:
            StorageError: the checkpoint of one of them is gone.
        """
        for number in trials_to_test(self.study, self.journal.trials()):
            record = self.journal.trial(number)
            if record.epochs and not record.test:
                config = compose_run(record.overrides, self.config_dir)
                metrics = evaluate_test(config, self._checkpoint_of(record))
                self.journal.set_test(number, metrics)
            tested = self.journal.trial(number)
            self.mlflow.recorder.trial_tested(number, tested.test, tested.ended)

    def publish(self, *, anew: bool = False) -> None:
        """Put artifacts and the best model into MLflow, unless they are there already.

        ``anew`` looks into MLflow itself, which may have lost them.

        Raises:
            StorageError: the best checkpoint is gone, or MLflow refuses.
            NoAnswerError: MLflow's server does not answer any more; the next start goes on here.
        """
        best = best_of(self.journal.trials(), self.study.selection)
        self.mlflow.study_ended("COMPLETE" if best else "FAIL", best, self.journal.ended())
        if best is None or self.mlflow.recorder.flush(DELIVERY_SECONDS) > 0:
            return
        self._note_run_ids()
        published = [best.number, self.mlflow.tracking.destination]
        if anew or self.journal.published() != published:
            config = compose_run(best.overrides, self.config_dir)
            self._log_artifacts(best, config)
            self._register(best, config)
            self.journal.set_published(published)

    def _note_run_ids(self) -> None:
        for record in self.journal.trials():
            run_id = self.mlflow.run_id_of(record.number)
            if run_id and not record.mlflow_run_id:
                self.journal.set_mlflow_run_id(record.number, run_id)

    def _log_artifacts(self, best: TrialRecord, config: DictConfig) -> None:
        self.mlflow.tracking.log_study(
            self.mlflow.study_run_id,
            study_file=self.text,
            best_config=OmegaConf.to_yaml(config),
            checkpoint=self._checkpoint_of(best),
            trials=[_row(record, self.study.selection) for record in self.journal.trials()],
        )

    def _register(self, best: TrialRecord, config: DictConfig) -> None:
        if self.study.mlflow.register_best_as is None:
            return
        datamodule, module = load_model(config, self._checkpoint_of(best))
        arguments: dict[str, Any] = OmegaConf.to_container(config.model.net)  # type: ignore[assignment]
        spec = NetworkSpec(
            network=arguments.pop("_target_"),
            arguments=arguments,
            heads=datamodule.heads,
            train_heads=tuple(module.predicted.trained),
            implied_heads=datamodule.get_dataset_info()["implied_heads"],
            image_shape=datamodule.image_shape,
            channel_mean=datamodule.channel_mean,
            channel_std=datamodule.channel_std,
        )
        line = reproduce_line(best.overrides, best.seed, self.config_dir)
        log_best_model(
            module.net,
            spec,
            example_images=_example_images(datamodule.data_dir),
            tracking=self.mlflow.tracking,
            run_id=self.mlflow.study_run_id,
            registered_name=self.study.mlflow.register_best_as,
            standing=self._standing_of(best),
            tags={"mhray.study": self.study.name, "mhray.trial": str(best.number)},
            description=f"Repeat it with:\n```sh\n{line}\n```",
        )

    def _checkpoint_of(self, record: TrialRecord) -> Path:
        files_of(self.study).hear(record.number, [BEST])
        return _whole_checkpoint_of(record)

    def _standing_of(self, best: TrialRecord) -> Standing:
        selection = self.study.selection
        value = best.best_epoch(selection).metrics[selection.metric]
        return Standing(self.journal.fingerprint, selection, value)


def _whole_checkpoint_of(record: TrialRecord) -> Path:
    path = Path(record.checkpoint)
    if problem := why_not_whole(path):
        raise StorageError(
            f"storage: {path}, the best epoch of trial {record.number}, {problem}; put it back, or "
            "write another name to start anew"
        )
    return path


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
        **(best.logged if best else {}),
        **record.test,
        "overrides": " ".join(record.overrides),
    }
