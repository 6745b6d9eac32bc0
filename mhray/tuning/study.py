"""The study file's schema: what one sweep varies, what it judges by and what it may spend.

The form that pydantic can check entry by entry, with every default; :mod:`mhray.tuning.rules` knows
what entries have to do with each other.
"""

import json
import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Strict, Tag

from mhray.errors import did_you_mean, without_password
from mhray.training.selection import Selection
from mhray.training.sizes import WHAT_FITS, bytes_of
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.enqueue_kinds import Enqueue
from mhray.tuning.mlflow_section import Mlflow
from mhray.tuning.sampler_kinds import Grid, GridSampler, Nsga2Sampler, Sampler, Tpe, TpeSampler
from mhray.tuning.scheduler_kinds import AshaScheduler, PbtScheduler, Scheduler
from mhray.tuning.schema import MARK, Scalar, Section, has_one_kind, kind_of, written
from mhray.tuning.space import OverridePath, Space


class Maximize(Section):
    """A metric of which more is better.

    Attributes:
        maximize: its name, as it is logged on the validation split.
    """

    maximize: str

    @property
    def metric(self) -> str:
        """The name under which the metric is logged."""
        return self.maximize

    @property
    def mode(self) -> Literal["max"]:
        """The direction in the words of Ray Tune."""
        return "max"


class Minimize(Section):
    """A metric of which less is better.

    Attributes:
        minimize: its name, as it is logged on the validation split.
    """

    minimize: str

    @property
    def metric(self) -> str:
        """The name under which the metric is logged."""
        return self.minimize

    @property
    def mode(self) -> Literal["min"]:
        """The direction in the words of Ray Tune."""
        return "min"


class Budget(Section):
    """Where the sweep ends, at whichever limit comes first.

    Attributes:
        trials (trials): complete, stopped early, or failed after all retries.
        hours (hours): wall-clock time over all starts of the study; null is no limit.
        gpu_hours (hours): those of all trials together, over all starts; null is no limit.
    """

    trials: Annotated[int, Field(ge=1)] = 24
    hours: Annotated[float, Field(gt=0)] | None = None
    gpu_hours: Annotated[float, Field(gt=0)] | None = None


def _is_whole_above_one(gpus: float) -> float:
    if gpus > 1 and not gpus.is_integer():
        raise ValueError(
            f"should be whole above 1, not {gpus}; write {int(gpus)} or {int(gpus) + 1}"
        )
    return gpus


def _is_size(raw: Any) -> Any:
    if raw is not None and not (isinstance(raw, str) and bytes_of(raw)):
        raise ValueError(f"should be {WHAT_FITS}, not {written(raw)}")
    return raw


class PerWorker(Section):
    """What Ray sets aside for one training process.

    Attributes:
        cpus (cores): for the threads of its steps.
        gpus (GPUs): a fraction shares one GPU between trials.
        memory (KiB, MiB or GiB): such as 2GiB, which Ray counts but does not enforce; null: none is
            counted.
        elastic: whether a trial of several workers starts, or after a loss goes on, with as many as
            there is room for, down to one; false: it waits until there is room for all.
    """

    cpus: Annotated[float, Field(gt=0)] = 1.0
    gpus: Annotated[float, Field(ge=0), AfterValidator(_is_whole_above_one)] = 0.0
    memory: Annotated[str | None, BeforeValidator(_is_size)] = None
    elastic: bool = False

    @property
    def memory_bytes(self) -> int:
        """Bytes; 0 if none are counted."""
        return bytes_of(self.memory) or 0


def _auto_or_count(raw: Any) -> str:
    return f"{MARK}auto" if isinstance(raw, str) else f"{MARK}count"


def _is_auto(raw: Any) -> Any:
    if raw != "auto":
        raise ValueError(f"should be auto or a whole number, not {written(raw)}")
    return raw


Parallel: TypeAlias = Annotated[
    Annotated[Literal["auto"], BeforeValidator(_is_auto), Tag(f"{MARK}auto")]
    | Annotated[int, Field(ge=1), Tag(f"{MARK}count")],
    Discriminator(_auto_or_count),
]


class Resources(Section):
    """What part of the machines the sweep takes.

    Attributes:
        parallel_trials (trials): those that run at the same time; auto: as many as fit.
        workers_per_trial (workers): Ray Train processes that train one model.
        retries (starts): further starts of a trial that failed for a cause that can pass, counted
            anew with each epoch that it gets further.
        stall_minutes (minutes): a trial that ends no epoch for so long is ended, as one that can
            pass; null: it may take any time.
        open_to_network: whether a Ray that the sweep starts listens beyond this machine, still with
            a token; false: on the loopback alone.
    """

    parallel_trials: Parallel = "auto"
    workers_per_trial: Annotated[int, Field(ge=1)] = 1
    per_worker: PerWorker = PerWorker()
    retries: Annotated[int, Field(ge=0)] = 2
    stall_minutes: Annotated[float, Field(gt=0)] | None = None
    open_to_network: bool = False

    @property
    def gpus_per_trial(self) -> float:
        """The GPUs that a trial holds while it runs."""
        return self.per_worker.gpus * self.workers_per_trial


def _is_plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise ValueError(
            f"should be a plain file name, not {written(name)}; "
            "write letters, digits, _, - and dots, but no dot first"
        )
    return name


def _is_journal(where: str) -> str:
    if where == "auto" or "://" in where or re.match("journal-file:.", where):
        return where
    hint = did_you_mean(where, ["auto", "sqlite:///FILE", "postgresql://...", "journal-file:PATH"])
    raise ValueError(f"should say where the journal is, not {written(where)}; {hint}")


Goal: TypeAlias = Annotated[
    Annotated[Maximize, Tag(f"{MARK}maximize")] | Annotated[Minimize, Tag(f"{MARK}minimize")],
    Discriminator(kind_of("maximize", "minimize")),
    has_one_kind("maximize", "minimize"),
]


def _are_goals(raw: Any) -> Any:
    match raw:
        case [_, *_] | (_, *_):
            return raw
    raise ValueError(f"should be a list of goals, not {written(raw)}; write [{{maximize: METRIC}}]")


class Study(Section):
    """A sweep: ``search`` varies ``base`` until ``budget`` is spent.

    Attributes:
        name: of the study in its journal, of its directory and of its MLflow experiment.
        base: what all trials have in common: values by override path.
        search: what trials draw: distributions by override path.
        objectives: one ranks trials; several have a Pareto front, and of heads' accuracies alone
            its hypervolume above chance.
        select: which trial is the best model, and what the scheduler compares.
        enqueue: trials that are given, which come after the baselines and before what is drawn.
        sampler: how the next trial is drawn.
        scheduler: what happens to trials that fall behind; null: nothing.
        budget: where the sweep ends, at whichever limit comes first.
        resources: what part of the machines the sweep takes.
        storage: the directory in which the study gets one of its own; or where one is in an object
            store, such as s3://bucket/studies, for what trials write.
        keep_checkpoints (trials): the best by select, whose checkpoints stay when they have ended,
            beside trial 0 and a Pareto front; null: all, as with a grid and a population.
        journal: auto: SQLite in the study's directory; or an Optuna URL; or journal-file:<path>.
        mlflow: where the sweep is recorded.
        confirm: how the best trials are trained again with fresh seeds, which then decide; null:
            not at all.
    """

    name: Annotated[str, AfterValidator(_is_plain)]
    base: Annotated[dict[OverridePath, Scalar], Field(default_factory=dict)]
    search: Space
    objectives: Annotated[tuple[Goal, ...], Strict(False), BeforeValidator(_are_goals)] = (
        Maximize(maximize="val/acc_mean"),
    )
    select: Goal = Maximize(maximize="val/acc_mean")
    sampler: Sampler = TpeSampler(tpe=Tpe())
    enqueue: Enqueue = None
    scheduler: Scheduler | None = None
    budget: Budget = Budget()
    resources: Resources = Resources()
    storage: Annotated[str, Field(min_length=1)] = "studies"
    keep_checkpoints: Annotated[int, Field(ge=1)] | None = 10
    journal: Annotated[str, AfterValidator(_is_journal)] = "auto"
    mlflow: Mlflow = Mlflow()
    confirm: Confirm | None = None

    @property
    def within(self) -> str | None:
        """The searched path whose options are brackets of their own, if there is one."""
        match self.scheduler:
            case AshaScheduler(asha=asha):
                return asha.within
        return None

    @property
    def selection(self) -> Selection:
        """What ranks epochs and trials."""
        return Selection(self.select.metric, self.select.mode)

    @property
    def told(self) -> tuple[Goal, ...]:
        """What a complete trial is worth to the sampler."""
        return self.objectives if isinstance(self.sampler, Nsga2Sampler) else (self.select,)

    @property
    def keeps_all_checkpoints(self) -> bool:
        """Whether any trial's checkpoints may be needed to the end, or are asked for."""
        is_population = isinstance(self.scheduler, PbtScheduler)
        return self.keep_checkpoints is None or self.grid is not None or is_population

    @property
    def grid(self) -> Grid | None:
        """What the sampler goes through, if it is a grid."""
        return self.sampler.grid if isinstance(self.sampler, GridSampler) else None


def dump_study(study: Study) -> dict[str, Any]:
    """A study with every default and without passwords, as JSON can hold it.

    ``Study.model_validate`` reads it back.
    """
    dumped: dict[str, Any] = json.loads(without_password(study.model_dump_json()))
    return dumped
