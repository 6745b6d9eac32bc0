"""What a sweep will take, said before it starts: hours, core- or GPU-hours, and disk.

Two things are known beforehand: how fast this machine has trained such networks, and when trials
may be stopped. Both are uncertain, so the quote is a range: the sweep is played out a hundred
times, each time with another luck at the rungs and another speed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf
from random import Random
from statistics import fmean

from mhray.tuning.courses import Reached, courses
from mhray.tuning.draws import Drawn
from mhray.tuning.shortage import checkpoint_bytes, most_with_checkpoints
from mhray.tuning.span import Span
from mhray.tuning.speeds import Measured, Pace, SweepSpeed, overheads, pace_of
from mhray.tuning.study import Study


@dataclass(frozen=True)
class Plan:
    """A sweep that is to be quoted.

    Attributes:
        study: with its heads filled in.
        max_epochs: the epoch at which a trial is complete.
        places: how many trials train at a time.
        networks: that it may draw.
        trials: those that were drawn before.
        spent: seconds of earlier starts.
        confirmed: epochs that confirmation runs have trained.
    """

    study: Study
    max_epochs: int
    places: int
    networks: Sequence[Drawn]
    trials: Sequence[Reached] = ()
    spent: float = 0.0
    confirmed: int = 0


@dataclass(frozen=True)
class Quote:
    """What a sweep will take.

    Attributes:
        seconds: of wall-clock time.
        busy: core-seconds, or GPU-seconds where trials have GPUs.
        epochs: that its trials will train, in the middle of all ways for it to go.
        epoch: seconds of an epoch, the mean over the networks.
        lead: seconds of a trial before its first epoch.
        by_options: the same of those that have these options.
    """

    seconds: Span
    busy: Span
    epochs: float
    epoch: float
    lead: float
    by_options: Mapping[frozenset[str], float]


def quote(plan: Plan, sweeps: Sequence[SweepSpeed], timed: Sequence[Measured] = ()) -> Quote | None:
    """The quote of a sweep by what earlier ones left; None if they had none of its networks.

    Args:
        plan: the sweep.
        sweeps: earlier ones on this machine.
        timed: what was measured now; it takes the place of the earlier ones' speeds.
    """
    measured = timed or [each for sweep in sweeps for each in sweep.measured]
    paces = [pace_of(drawn.load, measured) for drawn in plan.networks]
    known = [pace for pace in paces if pace is not None]
    if not known or len(known) < len(paces):
        return None
    before, lead = overheads(sweeps)
    by_options = _by_options(plan.networks, known)
    epoch = sum(
        drawn.share * drawn.images * pace.seconds
        for drawn, pace in zip(plan.networks, known, strict=True)
    )
    ways = courses(
        plan.study,
        plan.max_epochs,
        plan.places,
        plan.trials,
        lead=lead / epoch,
        confirmed=plan.confirmed,
    )
    random = Random(0)  # noqa: S311  nobody guesses these for gain
    # A machine that is busy makes all of a sweep slow alike.
    busyness = [random.gauss() for _ in ways]
    deviation = max(pace.deviation for pace in known)
    epochs = [epoch * exp(deviation * by) for by in busyness]
    outside = [before.seconds * exp(before.deviation * by) for by in busyness]
    hours, gpu_hours = _seconds_left(plan)
    played = list(zip(ways, epochs, outside, strict=True))
    seconds = Span.of(min(way.length * each + around, hours) for way, each, around in played)
    busy = [way.epochs * each * _held(plan.study) for way, each, _ in played]
    in_time = [_share(hours - around, way.length * each) for way, each, around in played]
    trained = [
        way.epochs * min(share, _share(gpu_hours, full))
        for way, full, share in zip(ways, busy, in_time, strict=True)
    ]
    return Quote(
        seconds=seconds,
        busy=Span.of(
            min(full * share, gpu_hours) for full, share in zip(busy, in_time, strict=True)
        ),
        epochs=Span.of(trained).middle,
        epoch=epoch,
        lead=lead,
        by_options=by_options,
    )


def unknown_networks(plan: Plan, sweeps: Sequence[SweepSpeed]) -> list[str]:
    """The classes of networks about which earlier sweeps say nothing."""
    measured = [each for sweep in sweeps for each in sweep.measured]
    unknown = [one.load.network for one in plan.networks if pace_of(one.load, measured) is None]
    return sorted(set(unknown))


def disk_bytes(plan: Plan) -> float:
    """What checkpoints take on the disk, at most and to a few kilobytes each."""
    mean = sum(drawn.share * drawn.load.parameters for drawn in plan.networks)
    return checkpoint_bytes(mean) * most_with_checkpoints(plan.study, plan.places)


def _held(study: Study) -> float:
    """The GPUs of a trial or, if it has none, its cores."""
    resources = study.resources
    return resources.gpus_per_trial or resources.per_worker.cpus * resources.workers_per_trial


def _seconds_left(plan: Plan) -> tuple[float, float]:
    """What a study's hours and GPU hours still allow."""
    budget = plan.study.budget
    hours = inf if budget.hours is None else max(0.0, 3600 * budget.hours - plan.spent)
    return hours, inf if budget.gpu_hours is None else 3600 * budget.gpu_hours


def _share(given: float, wanted: float) -> float:
    """How much of what is wanted is given.

    >>> _share(30, 120), _share(inf, 120), _share(-5, 120), _share(0, 0)
    (0.25, 1.0, 0.0, 1.0)
    """
    return min(1.0, max(0.0, given) / wanted) if wanted else 1.0


def _by_options(networks: Sequence[Drawn], paces: Sequence[Pace]) -> dict[frozenset[str], float]:
    found: dict[frozenset[str], list[float]] = defaultdict(list)
    for drawn, pace in zip(networks, paces, strict=True):
        found[drawn.options].append(drawn.images * pace.seconds)
    return {options: fmean(seconds) for options, seconds in found.items()}
