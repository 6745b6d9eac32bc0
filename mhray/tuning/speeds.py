"""How fast this machine was: what each sweep leaves for the quotes of those after it.

A line of JSON per sweep, in the user's cache directory: what is lost with it is measured again. A
line that cannot be read, or was written by another version, is left out.
"""

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import exp, log, log2, sqrt
from pathlib import Path
from statistics import median, stdev

import joblib
from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, ValidationError

from mhray.durable import write_durably
from mhray.training.load import Load

KEPT = 500  # lines, the newest
FEW = 5
# Deviations of log-speeds below which none is believed, of few sweeps and of more.
FLOOR_OF_FEW, FLOOR = 0.3, 0.12
OTHER_BATCH = 0.3  # is added for each doubling of the batch size
USUAL_SECONDS_BEFORE, USUAL_LEAD = 25.0, 1.0


class Measured(BaseModel):
    """What an image took, in all trials of one load of a sweep.

    Attributes:
        load: theirs.
        seconds_per_image: of training, what lies between epochs included.
        epochs: that were trained.
    """

    model_config = ConfigDict(frozen=True)

    load: Load
    seconds_per_image: PositiveFloat
    epochs: int


class SweepSpeed(BaseModel):
    """What a sweep leaves.

    Attributes:
        machine: where it ran.
        measured: its networks.
        seconds_before: its first epoch and after its last, together.
        lead: what a trial took before its first epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    measured: tuple[Measured, ...]
    seconds_before: NonNegativeFloat
    lead: NonNegativeFloat


@dataclass(frozen=True)
class Pace:
    """What something will take: a log-normal forecast.

    Attributes:
        seconds: the median.
        deviation: of the logarithm.
    """

    seconds: float
    deviation: float


def pace_of(load: Load, measured: Sequence[Measured]) -> Pace | None:
    """What was measured says about a load; None if no network of its class saw such images.

    Within a class time is taken to follow arithmetic. The forecast is for one more sweep, so its
    spread is that between sweeps.
    """
    known = [each for each in measured if _is_comparable(each.load, load)]
    if not known:
        return None
    nearest = min(_distance(each.load, load) for each in known)
    logs = [
        log(each.seconds_per_image * load.mflop / each.load.mflop)
        for each in known
        if _distance(each.load, load) <= nearest + 1 / 2
    ]
    pace = _pace(logs)
    return Pace(pace.seconds, pace.deviation + OTHER_BATCH * nearest)


def overheads(sweeps: Sequence[SweepSpeed]) -> tuple[Pace, float]:
    """Seconds of a sweep outside its epochs, and of a trial before its first; as they usually are.

    Without sweeps, those of a machine of two cores: a first quote is not blind to them.
    """
    before = [log(sweep.seconds_before) for sweep in sweeps if sweep.seconds_before > 0]
    lead = median(sweep.lead for sweep in sweeps) if sweeps else USUAL_LEAD
    return _pace(before or [log(USUAL_SECONDS_BEFORE)]), lead


def machine(place: str) -> str:
    """What speeds are comparable on; ``place`` is this machine or a cluster."""
    return f"{_processor()}, {joblib.cpu_count()} cores, {place}"


def recorded(on: str) -> list[SweepSpeed]:
    """What earlier sweeps on a machine have left, the oldest first."""
    try:
        lines = _file().read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(ValidationError):
            found.append(SweepSpeed.model_validate_json(line))
    return [sweep for sweep in found if sweep.machine == on]


def record(sweep: SweepSpeed) -> None:
    """Leave a sweep's speeds; where the cache directory cannot be written, leave nothing."""
    with suppress(OSError):
        path = _file()
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [*lines[1 - KEPT :], sweep.model_dump_json()]
        write_durably(path, "\n".join(kept) + "\n", is_shared=True)


def _pace(logs: Sequence[float]) -> Pace:
    """The forecast of one more value from the logarithms of others."""
    floor = FLOOR_OF_FEW if len(logs) < FEW else FLOOR
    spread = max(stdev(logs) if len(logs) > 1 else floor, floor)
    return Pace(exp(median(logs)), spread * sqrt(1 + 1 / len(logs)))


def _file() -> Path:
    return user_cache_path("mhray") / "speeds.jsonl"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _is_comparable(one: Load, other: Load) -> bool:
    kept = ("network", "image_shape", "workers", "cpus", "gpus")
    return all(one.model_dump()[key] == other.model_dump()[key] for key in kept)


def _distance(one: Load, other: Load) -> float:
    """How many doublings of the batch size lie between two loads."""
    return abs(log2(one.batch_size / other.batch_size))
