"""When each trial ran and how it ended, and what all of it cost."""

from collections.abc import Iterator, Sequence

from mhray.tuning.page.blocks import Figures, Section, text
from mhray.tuning.page.figure import Figure, Line, Number
from mhray.tuning.page.material import Material
from mhray.tuning.page.wording import counted, duration, listed, moment, percent
from mhray.tuning.record import TrialRecord

_MINUTE = 60.0
ENDS = (
    ("complete", "COMPLETE", "complete", "solid"),
    ("stopped early", "PRUNED", "stopped", "dash"),
    ("failed", "FAIL", "failed", "dot"),
    ("not ended", "RUNNING", "running", "dashdot"),
)


def timeline(material: Material) -> Section:
    """A bar of time for each trial."""
    begun = [record for record in material.records if record.began]
    if not begun:
        return Section("Timeline", (text("No trial has begun."),))
    first = min(record.began for record in begun)
    told = f"From {moment(first)} to {moment(material.ended)}." if material.ended else ""
    series = tuple(
        _line(name, chosen, colour, dash, first)
        for name, state, colour, dash in ENDS
        if (chosen := [record for record in begun if record.state == state])
    )
    figure = Figure("Trials", "minutes since the first trial began", "trial", series)
    caption = "When each trial began and ended, and how."
    return Section(
        "Timeline", (text(told, *_stops(material)), Figures("timeline", caption, (figure,)))
    )


def spending(material: Material) -> Section:
    """What was spent, and what early stopping saved."""
    return Section("What it cost", (text(*spending_sentences(material)),))


def spending_sentences(material: Material) -> Iterator[str]:
    """Hours of the clock, of cores and of GPUs, epochs, and the epochs that nobody had to train."""
    runs = material.runs
    trained = sum(len(record.epochs) for record in material.records)
    again = sum(len(run.epochs) for run in runs)
    cores = duration(material.core_seconds)
    gpus = f", {duration(material.gpu_seconds)} of GPU" if material.gpu_seconds else ""
    yield (
        f"{duration(material.seconds)} by the clock over all starts, {cores} of core time"
        f"{gpus}; {counted(trained, 'epoch')} in {counted(len(material.records), 'trial')}"
        + (f", {again} in {counted(len(runs), 'run')} with fresh seeds." if runs else ".")
    )
    saved, seconds = _saved(material)
    if saved:
        share = saved / (saved + trained)
        yield (
            f"Early stopping saved {counted(saved, 'epoch')} ({percent(share)} of what training "
            f"all to the end would have taken), about {duration(seconds)} of training."
        )
    elif material.complete:
        yield "No trial was stopped early."
    restarts = sum(record.starts - 1 for record in material.records if record.starts > 1)
    if restarts:
        yield f"Trials were started again {counted(restarts, 'time')}."


def _saved(material: Material) -> tuple[int, float]:
    """Epochs that stopped trials did not train, and the seconds of those at each trial's pace."""
    last = max((len(record.epochs) for record in material.complete), default=0)
    stopped = [record for record in material.records if record.state == "PRUNED" and record.epochs]
    missing = [(max(last - len(record.epochs), 0), record) for record in stopped]
    seconds = sum(epochs * record.seconds / len(record.epochs) for epochs, record in missing)
    return sum(epochs for epochs, _ in missing), seconds


def _stops(material: Material) -> Iterator[str]:
    """At which epochs trials were stopped."""
    stopped = [len(record.epochs) for record in material.records if record.state == "PRUNED"]
    at = [f"{stopped.count(epoch)} after epoch {epoch}" for epoch in sorted(set(stopped))]
    if at:
        yield f"Stopped early: {listed(at)}."


def _line(name: str, records: Sequence[TrialRecord], colour: str, dash: str, first: float) -> Line:
    x: list[Number] = []
    y: list[Number] = []
    trials: list[int] = []
    for record in records:
        end = record.ended or max((row.time for row in record.epochs), default=record.began)
        x += [(record.began - first) / _MINUTE, (end - first) / _MINUTE, None]
        y += [float(record.number), float(record.number), None]
        trials += [record.number] * 3
    return Line(name, tuple(x), tuple(y), colour, tuple(trials), dash, 4)
