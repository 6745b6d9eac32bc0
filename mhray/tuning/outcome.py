"""What a study ends with: the test split, read once, and the best model in MLflow.

Each step looks whether it was done before, so the end of a sweep may be interrupted and repeated
like the rest, and a finished study needs none of its checkpoints to show its result again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig, OmegaConf

from mhray.data.dataset import CIFAR100MHDataset
from mhray.data.header import read_header
from mhray.errors import StorageError
from mhray.training.group_files import BEST
from mhray.training.network_spec import NetworkSpec
from mhray.training.recorder import StudyEnd
from mhray.training.registry import Registered, Standing, log_best_model
from mhray.training.resume import why_not_whole
from mhray.training.run import compose_run, evaluate_test, load_model
from mhray.training.selection import Selection
from mhray.tuning.confirmation import Confirmation, study_of_runs
from mhray.tuning.journal import Confirmations, Journal
from mhray.tuning.page.card import Product, card_of
from mhray.tuning.page.material import Material, material_of
from mhray.tuning.page.study_note import front_table, study_metrics, study_note
from mhray.tuning.places import CHECKPOINTS, CONFIRMATION, files_of
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

    @cached_property
    def runs(self) -> Confirmations | None:
        """The journal of the runs that confirm the study's best, if it says so."""
        if self.study.confirm is None:
            return None
        return self.journal.confirmations(study_of_runs(self.study, self.study.confirm))

    def confirmation(self) -> Confirmation | None:
        """What those runs have come to; None if there are none to be."""
        if self.study.confirm is None or self.runs is None or not self.journal.trials():
            return None
        trials, runs = self.journal.trials(), self.runs.trials()
        return Confirmation(self.study, self.study.confirm, trials, runs)

    def is_confirmed(self) -> bool:
        """Whether no run is missing that is to confirm the study's best."""
        state = self.confirmation()
        return state is None or not state.wanted()

    def best(self) -> TrialRecord | None:
        """The run that the study ends with: of a confirmed winner the one with its median."""
        state = self.confirmation()
        if state is not None and state.winner is not None:
            return state.median_run(state.winner)
        return best_of(self.journal.trials(), self.study.selection)

    def test(self) -> None:
        """Evaluate the trials that the study ends with on the test split, unless that is done.

        Raises:
            StorageError: the checkpoint of one of them is gone.
        """
        state = self.confirmation()
        if state is None or state.winner is None or self.runs is None:
            numbers = trials_to_test(self.study, self.journal.trials())
            self._test(numbers, self.journal, self.mlflow)
        else:
            ending = (state.winner, state.rival or state.winner)
            numbers = sorted({state.median_run(each).number for each in ending})
            self._test(numbers, self.runs, self.mlflow.of_confirmations())

    def publish(self, report: Path, *, anew: bool = False) -> Registered | None:
        """Put artifacts and the best model into MLflow, unless they are there already.

        Returns the model, if it was registered now.

        Args:
            report: the directory that holds the study's report.
            anew: MLflow may have lost what is there.

        Raises:
            StorageError: the best checkpoint is gone, or MLflow refuses.
            NoAnswerError: MLflow's server does not answer any more; the next start goes on here.
        """
        best = self.best()
        self.tell("COMPLETE" if best else "FAIL", self._ended())
        if best is None or self.mlflow.recorder.flush(DELIVERY_SECONDS) > 0:
            return None
        self._note_run_ids()
        model = [_place_of(best), self.mlflow.tracking.destination]
        published = [*model, len(self.journal.ended())]
        before = self.journal.published()
        if anew or before != published:
            config = compose_run(best.overrides, self.config_dir)
            material = material_of(self.journal)
            self._log_artifacts(best, config, report, material)
            is_new = anew or before[: len(model)] != model
            registered = self._register(best, config, material) if is_new else None
            self.journal.set_published(published)
            return registered
        return None

    def tell(self, state: StudyEnd, ended: Sequence[TrialRecord] = ()) -> None:
        """Tell MLflow how this start of the study ended: now, or with the last of these trials."""
        material = material_of(self.journal)
        summary, note = study_metrics(material), study_note(material)
        self.mlflow.study_ended(state, self.best(), ended, summary, note)

    def _ended(self) -> list[TrialRecord]:
        """All that has ended, runs with fresh seeds included."""
        return [*self.journal.ended(), *(self.runs.ended() if self.runs else ())]

    def _test(self, numbers: Sequence[int], journal: Journal, mlflow: MlflowObserver) -> None:
        for number in numbers:
            record = journal.trial(number)
            if record.epochs and not record.test:
                config = compose_run(record.overrides, self.config_dir)
                metrics = evaluate_test(config, self._checkpoint_of(record))
                journal.set_test(number, metrics)
            tested = journal.trial(number)
            mlflow.recorder.trial_tested(number, tested.test, tested.ended)

    def _note_run_ids(self) -> None:
        _note_run_ids(self.journal, self.mlflow)
        if self.runs is not None:
            _note_run_ids(self.runs, self.mlflow.of_confirmations())

    def _log_artifacts(
        self, best: TrialRecord, config: DictConfig, report: Path, material: Material
    ) -> None:
        self.mlflow.tracking.log_study(
            self.mlflow.study_run_id,
            study_file=self.text,
            best_config=OmegaConf.to_yaml(config),
            checkpoint=self._checkpoint_of(best),
            trials=[_row(record, self.study.selection) for record in self.journal.trials()],
            front=front_table(material),
            report=report,
            dataset=(_name_of_data(Path(config.data.data_dir)), self.journal.fingerprint),
        )

    def _register(
        self, best: TrialRecord, config: DictConfig, material: Material
    ) -> Registered | None:
        if self.study.mlflow.register_best_as is None:
            return None
        datamodule, module = load_model(config, self._checkpoint_of(best))
        about = datamodule.get_dataset_info()
        arguments: dict[str, Any] = OmegaConf.to_container(config.model.net)  # type: ignore[assignment]
        spec = NetworkSpec(
            network=arguments.pop("_target_"),
            arguments=arguments,
            heads=datamodule.heads,
            train_heads=tuple(module.predicted.trained),
            implied_heads=about["implied_heads"],
            image_shape=datamodule.image_shape,
            channel_mean=datamodule.channel_mean,
            channel_std=datamodule.channel_std,
        )
        product = Product(
            network=spec.network.rpartition(".")[2],
            parameters=sum(weight.numel() for weight in module.net.parameters()),
            data=about["dataset_name"],
            heads=spec.heads,
            predicted=tuple(module.predicted.names),
            image_shape=spec.image_shape,
            train=about["num_train_samples"],
            val=about["num_val_samples"],
            test=about["num_test_samples"],
            limits=_limits_of(config),
        )
        return log_best_model(
            module.net,
            spec,
            example_images=_example_images(datamodule.data_dir),
            tracking=self.mlflow.tracking,
            run_id=self.mlflow.study_run_id,
            registered_name=self.study.mlflow.register_best_as,
            standing=self._standing_of(best),
            tags={"mhray.study": self.study.name, **_origin_of(best)},
            description=card_of(material, product),
        )

    def _standing_of(self, best: TrialRecord) -> Standing:
        selection = self.study.selection
        value = best.best_epoch(selection).metrics[selection.metric]
        return Standing(self.journal.fingerprint, selection, value)

    def _checkpoint_of(self, record: TrialRecord) -> Path:
        folder = CONFIRMATION if record.candidate else CHECKPOINTS
        files_of(self.study, folder).hear(record.number, [BEST])
        return _whole_checkpoint_of(record)


def _note_run_ids(journal: Journal, mlflow: MlflowObserver) -> None:
    for record in journal.trials():
        run_id = mlflow.run_id_of(record.number)
        if run_id and not record.mlflow_run_id:
            journal.set_mlflow_run_id(record.number, run_id)


def _origin_of(best: TrialRecord) -> dict[str, str]:
    """Where a registered model comes from, in tags."""
    number = {"mhray.confirm" if best.candidate else "mhray.trial": str(best.number)}
    return number | ({"mhray.candidate": best.candidate} if best.candidate else {})


def _place_of(best: TrialRecord) -> int | str:
    """What tells a trial from all others of its study, runs of its confirmation included."""
    return f"confirmation {best.number}" if best.candidate else best.number


def _whole_checkpoint_of(record: TrialRecord) -> Path:
    path = Path(record.checkpoint)
    if problem := why_not_whole(path):
        raise StorageError(
            f"storage: {path}, the best epoch of {_name_of(record)}, {problem}; put it back, or "
            "write another name to start anew"
        )
    return path


def _name_of(record: TrialRecord) -> str:
    kind = "confirmation" if record.candidate else "trial"
    return f"{kind} {record.number}"


def _name_of_data(directory: Path) -> str:
    return read_header(directory).dataset_name or directory.resolve().name


def _limits_of(config: DictConfig) -> dict[str, str]:
    """The keys of the trainer that leave out images, and their values."""
    keys = [f"limit_{split}_batches" for split in ("train", "val", "test")]
    return {key: str(config.trainer[key]) for key in keys if config.trainer[key] is not None}


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
