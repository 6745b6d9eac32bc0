"""How each head learned: its accuracy on validation after every epoch of every trial."""

from collections.abc import Sequence

from mhray.tuning.page.blocks import Figures, Section, text
from mhray.tuning.page.figure import Figure, Line, Number
from mhray.tuning.page.material import Material, accuracy
from mhray.tuning.page.thinning import LINES, evenly
from mhray.tuning.page.wording import axis, counted, scaled
from mhray.tuning.record import BASELINE, TrialRecord

MARK = 3  # pixels, so that a trial of one epoch is seen


def curves(material: Material) -> Section:
    """A figure for each head, with the best trial and trial 0 before the others."""
    if not material.heads:
        return Section("Learning curves", (text("No epoch has ended."),))
    figures = tuple(_figure(material, head) for head in material.heads)
    caption = f"Accuracy of each head on validation after each epoch; {_lines(material)}."
    return Section("Learning curves", (text(_late(material)), Figures("curves", caption, figures)))


def _lines(material: Material) -> str:
    others, stopped = (len(group) for group in _unmarked(material))
    if max(others, stopped) <= LINES:
        return "a line for each trial"
    return f"of complete and of other trials at most {LINES} each are drawn, evenly by result"


def _late(material: Material) -> str:
    """Whether trials were still getting better when they ended."""
    if not material.complete:
        return ""
    last = max(len(record.epochs) for record in material.complete)
    late = sum(
        record.best_epoch(material.study.selection).epoch == last for record in material.complete
    )
    trials = counted(len(material.complete), "complete trial")
    return (
        f"{late} of {trials} {'was' if late == 1 else 'were'} best in the last epoch, {last}."
        + (" More epochs may help." if late > len(material.complete) / 2 else "")
    )


def _figure(material: Material, head: str) -> Figure:
    best = material.chosen.number if material.chosen else -1
    others, stopped = (evenly(group, LINES) for group in _unmarked(material))
    marked = [r for r in material.records if r.number == BASELINE and r.epochs]
    winner = [r for r in material.records if r.number == best and best != BASELINE]
    series = (
        _line("stopped early or failed", stopped, head, "stopped", "dot", 1),
        _line("complete", others, head, "other", "solid", 1),
        _line(f"trial 0: {material.baseline_name}", marked, head, "baseline", "dash", 3),
        _line(f"{material.chosen_name}: trial {best}", winner, head, "best", "solid", 3),
    )
    drawn = tuple(line for line in series if line.x)
    return Figure(head, "epoch", axis(accuracy(head)), drawn, x_is_whole=True)


def _unmarked(material: Material) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Complete trials and others, but for the best and trial 0; the best first."""
    best = material.chosen.number if material.chosen else -1
    ranked = sorted(
        (one for one in material.records if one.epochs and one.number not in (best, BASELINE)),
        key=lambda one: material.validated(one)[material.study.select.metric],
        reverse=material.study.select.mode == "max",
    )
    comparable = {one.number for one in material.complete}
    complete = [one for one in ranked if one.number in comparable]
    return complete, [one for one in ranked if one.state != "COMPLETE"]


def _line(
    name: str, records: Sequence[TrialRecord], head: str, colour: str, dash: str, width: float
) -> Line:
    metric = accuracy(head)
    x: list[Number] = []
    y: list[Number] = []
    trials: list[int] = []
    for record in records:
        rows = [row for row in record.epochs if metric in row.metrics]
        x += [*(row.epoch for row in rows), None]
        y += [*(scaled(metric, row.metrics[metric]) for row in rows), None]
        trials += [record.number] * (len(rows) + 1)
    return Line(name, tuple(x), tuple(y), colour, tuple(trials), dash, width, MARK)
