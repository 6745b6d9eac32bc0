"""What the journal of a sweep says about this machine's speed.

Only a sweep that ran in one start tells it: between starts time passes in which nothing ran. And
none tells it whose clock was changed, or whose machine slept: what lies between two epochs of one
process, or of two, only the wall clock knows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from statistics import fmean, median

from omegaconf import DictConfig

from mhray.models.classifiers import ImageShape
from mhray.training.load import Load, images_per_epoch
from mhray.tuning.record import TrialRecord
from mhray.tuning.speeds import Measured, SweepSpeed

STALL = 3.0  # times the median: an epoch in which the machine did something else
SLACK = 1.0  # seconds by which clocks may differ


def speed_of(
    records: Sequence[TrialRecord],
    load_of: Callable[[TrialRecord], tuple[Load, float]],
    places: int,
    seconds: float,
    on: str,
) -> SweepSpeed | None:
    """What a sweep leaves for later quotes; None if it trained nothing, or its times say nothing.

    Args:
        records: its trials.
        load_of: a trial's load, and the images that its epoch is worth.
        places: how many trials trained at a time.
        seconds: of the whole sweep, by a clock that nobody changes.
        on: what speeds are comparable on.
    """
    trained = [record for record in records if record.epochs and not record.takeovers]
    if not trained or any(record.starts > 1 for record in records):
        return None
    begin, end = min(map(_begin, trained)), max(record.epochs[-1].time for record in trained)
    if end - begin > seconds + SLACK or any(map(_went_back, trained)):
        return None
    per_image: dict[Load, list[float]] = defaultdict(list)
    for record in trained:
        load, images = load_of(record)
        per_image[load] += [each / images for each in epoch_seconds(record)]
    measured = [
        Measured(load=load, seconds_per_image=_without_stalls(found), epochs=len(found))
        for load, found in per_image.items()
    ]
    return SweepSpeed(
        machine=on,
        measured=tuple(measured),
        seconds_before=max(0.0, seconds - (end - begin)),
        lead=lead_of(trained, places),
    )


def load_of(
    compose: Callable[[Sequence[str]], DictConfig], shape: ImageShape, record: TrialRecord
) -> tuple[Load, float]:
    """The load of a trial, as its run has counted it, and the images that its epoch is worth."""
    config = compose(record.overrides)
    metrics = record.epochs[-1].metrics
    cost = metrics["model/parameters"], metrics["model/mflop_per_image"]
    return Load.of(config, shape, *cost), images_per_epoch(config)


def epoch_seconds(record: TrialRecord) -> Iterator[float]:
    """What each epoch of a trial took, with what lies between it and the one before."""
    yield record.epochs[0].seconds
    yield from (row.time - before.time for before, row in pairwise(record.epochs))


def lead_of(trained: Sequence[TrialRecord], places: int) -> float:
    """Seconds from the end of a trial to the first epoch of the next in its place; the median."""
    free: list[float] = []
    waits = []
    for record in sorted(trained, key=_begin):
        if len(free) == places:
            waits.append(max(0.0, _begin(record) - heappop(free)))
        heappush(free, record.epochs[-1].time)
    return median(waits) if waits else 0.0


def _begin(record: TrialRecord) -> float:
    """When a trial's first epoch began."""
    return record.epochs[0].time - record.epochs[0].seconds


def _went_back(record: TrialRecord) -> bool:
    """Whether an epoch ended less after the one before it than it took itself."""
    steps = zip(epoch_seconds(record), record.epochs, strict=True)
    return any(step < row.seconds - SLACK for step, row in steps)


def _without_stalls(seconds: Sequence[float]) -> float:
    usual = median(seconds)
    return fmean(each for each in seconds if each <= STALL * usual)
