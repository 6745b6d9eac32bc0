"""The quote of a checked study in words, by what was recorded or is timed now.

And what a sweep that has ended leaves for later quotes.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from omegaconf import DictConfig
from rich.console import Console

from mhray.training.run import compose_run, read_heads_of
from mhray.training.timing import seconds_per_image
from mhray.tuning.candidates import range_of_runs
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.courses import Reached
from mhray.tuning.draws import networks_of
from mhray.tuning.quote import Plan, Quote, disk_bytes, quote, unknown_networks
from mhray.tuning.record import TrialRecord
from mhray.tuning.speeds import Measured, machine, record, recorded
from mhray.tuning.sweep_speed import load_of, speed_of

TIMED_SECONDS = 1.5  # for each network

Compose: TypeAlias = Callable[[Sequence[str]], DictConfig]


class Quoting:
    """Quotes a study."""

    def __init__(self, checked: CheckedStudy) -> None:
        self._checked = checked
        self._compose: Compose = partial(compose_run, config_dir=checked.config_dir)
        self._sweeps = recorded(machine(checked.available.place))
        self._timed: list[Measured] = []
        self._networks = networks_of(checked.study, self._compose)

    def time_networks(self) -> None:
        """Time each network that the study may draw for a few seconds, in this process."""
        for drawn in self._networks:
            seconds = seconds_per_image(self._compose(drawn.overrides), TIMED_SECONDS)
            self._timed.append(Measured(load=drawn.load, seconds_per_image=seconds, epochs=1))

    def of(
        self, trials: Sequence[Reached] = (), spent: float = 0.0, confirmed: int = 0
    ) -> Quote | None:
        """What is missing of the study.

        Some trials may be drawn, so many seconds spent, and so many epochs trained to confirm.
        """
        return quote(self._plan(trials, spent, confirmed), self._sweeps, self._timed)

    def lines(self, found: Quote | None) -> Iterator[str]:
        """What :meth:`of` found, and what the disk will hold, for a person."""
        plan = self._plan()
        if found is None:
            names = " and ".join(unknown_networks(plan, self._sweeps)) or "its networks"
            reason = f"no sweep on this machine has trained {names} so"
            yield f"quote: not known yet, since {reason}; --quote times a few steps"
        else:
            yield f"quote: {_in_words(found, plan)}; {self._source()}"
        yield f"disk: up to {_size(disk_bytes(plan))} of checkpoints"

    def _plan(self, trials: Sequence[Reached] = (), spent: float = 0.0, confirmed: int = 0) -> Plan:
        checked = self._checked
        return Plan(
            checked.study,
            checked.max_epochs,
            checked.parallel_trials,
            self._networks,
            trials,
            spent,
            confirmed,
        )

    def _source(self) -> str:
        if self._timed:
            return (
                f"timed now, {_counted(len(self._timed), 'network')} for {TIMED_SECONDS:g} s each"
            )
        return f"from {_counted(len(self._sweeps), 'sweep')} recorded on this machine"


def print_quote(checked: CheckedStudy, console: Console, *, times_networks: bool) -> None:
    """What the whole study would take; ``times_networks`` first, if asked."""
    quoting = Quoting(checked)
    if times_networks:
        quoting.time_networks()
    for line in quoting.lines(quoting.of()):
        console.print(line, markup=False)


def leave_speeds(checked: CheckedStudy, ended: Sequence[TrialRecord], seconds: float) -> None:
    """Leave the speeds of a sweep that has ended, for the quotes of later ones."""
    _, shape = read_heads_of(checked.base)
    speed = speed_of(
        ended,
        partial(load_of, partial(compose_run, config_dir=checked.config_dir), shape),
        checked.parallel_trials,
        seconds,
        machine(checked.available.place),
    )
    if speed is not None:
        record(speed)


def _in_words(found: Quote, plan: Plan) -> str:
    unit = "GPU" if plan.study.resources.gpus_per_trial else "core"
    low, middle, high = map(_hours, (found.busy.low, found.busy.middle, found.busy.high))
    confirm = plan.study.confirm
    runs = range_of_runs(plan.study, confirm)[1] if confirm else 0
    every = plan.max_epochs * (plan.study.budget.trials + runs)
    return (
        f"{found.seconds}; {middle} {unit}-hours ({low} to {high}); "
        f"about {found.epochs:.0f} of {every} epochs"
    )


def _counted(count: int, noun: str) -> str:
    """A number of things.

    >>> _counted(1, "sweep"), _counted(2, "sweep")
    ('1 sweep', '2 sweeps')
    """
    return f"{count} {noun}{'s' * (count != 1)}"


def _hours(seconds: float) -> str:
    """Hours to two digits.

    >>> _hours(60), _hours(5400), _hours(432_000)
    ('0.017', '1.5', '120')
    """
    hours = seconds / 3600
    return f"{hours:.2g}" if hours < 100 else f"{hours:.0f}"  # noqa: PLR2004


def _size(count: float) -> str:
    """Bytes for a person.

    >>> _size(1_400_000), _size(33_600_000_000)
    ('1.4 MB', '34 GB')
    """
    number, unit = (count / 1e6, "MB") if count < 1e9 else (count / 1e9, "GB")  # noqa: PLR2004
    return f"{number:.2g} {unit}" if number < 100 else f"{number:.0f} {unit}"  # noqa: PLR2004
