"""Each head's accuracy: of the best trial, of trial 0, and of whoever is best on that head."""

from collections.abc import Iterator
from dataclasses import dataclass

from mhray.tuning.page.blocks import Section, Table, text
from mhray.tuning.page.material import Material
from mhray.tuning.page.wording import change_of, counted, value_of
from mhray.tuning.record import TrialRecord

MEAN = "val/acc_mean"


def head_table(material: Material) -> Section:
    """The table of heads, with what its columns are."""
    pair = _pair_of(material)
    if pair is None:
        return Section("Heads", (text("No trial is complete."),))
    table = Table(
        ("head", pair.best_name, pair.other_name, "difference", "best on this head")
        + (("test: best", "test: the other") if material.shown_to_test else ()),
        tuple(_row(material, pair, metric, word) for metric, word in _rows(material, pair)),
    )
    return Section("Heads", (table, text(*_notes(material))))


def champion_of(material: Material, metric: str) -> TrialRecord:
    """The complete trial that is best on one metric; the earliest of equals."""
    return max(material.complete, key=lambda record: material.validated(record)[metric])


@dataclass(frozen=True)
class _Pair:
    """The best, and what it is shown beside: searched trials, or runs with fresh seeds."""

    best: TrialRecord
    best_name: str
    other: TrialRecord | None
    other_name: str


def _pair_of(material: Material) -> _Pair | None:
    state = material.confirmation
    if state is not None and state.winner is not None:
        winner, rival = state.winner, state.rival or state.winner
        best, other = (state.median_run(each) for each in (winner, rival))
        return _Pair(best, f"best: {winner.name}, fresh seed", other, f"{rival.name}, fresh seed")
    if material.best is None:
        return None
    name = f"trial 0: {material.baseline_name}"
    return _Pair(material.best, f"best: trial {material.best.number}", material.baseline, name)


def _rows(material: Material, pair: _Pair) -> list[tuple[str, str]]:
    """The metrics of the table, each with its word: heads, their mean, what chooses the best."""
    select = material.study.select.metric
    heads = zip(material.metrics, material.heads, strict=True)
    words = {select: select, **dict(heads), MEAN: "mean"}
    words[select] = words.pop(select)
    known = _validated(material, pair.best)
    return [(metric, word) for metric, word in words.items() if metric in known]


def _row(material: Material, pair: _Pair, metric: str, word: str) -> tuple[str, ...]:
    own = _validated(material, pair.best).get(metric)
    other = _validated(material, pair.other).get(metric)
    change = "-" if own is None or other is None else change_of(metric, own - other)
    cells = [word, value_of(metric, own), value_of(metric, other), change, _best(material, metric)]
    if material.shown_to_test:
        on_test = metric.replace("val/", "test/", 1)
        tested = [each.test.get(on_test) if each else None for each in (pair.best, pair.other)]
        cells += [value_of(on_test, value) for value in tested]
    return tuple(cells)


def _validated(material: Material, record: TrialRecord | None) -> dict[str, float]:
    """The metrics of its best epoch."""
    return record.best_epoch(material.study.selection).metrics if record else {}


def _best(material: Material, metric: str) -> str:
    """Who is best on one head; of other metrics it is not said, since less may be better."""
    if metric not in (*material.metrics, MEAN):
        return "-"
    champion = champion_of(material, metric)
    value = value_of(metric, material.validated(champion)[metric])
    return f"{value} (trial {champion.number})"


def _notes(material: Material) -> Iterator[str]:
    if material.confirmation is not None and material.confirmation.winner is not None:
        yield "Of each candidate it is the run that has the median of its fresh seeds."
    yield (
        "All but the columns named test are validation figures, at each trial's best epoch by "
        f"{material.study.select.metric}."
    )
    yield (
        "So are the best on one head: each was picked from all complete trials for that number, "
        "which flatters it, and none of them was shown to the test split for it."
    )
    if material.shown_to_test:
        shown = counted(material.shown_to_test, "model")
        yield f"This study has shown {shown} to the test batch."
    else:
        yield "No model was shown to the test batch yet."
