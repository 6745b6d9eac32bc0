"""Each head's accuracy: of the best trial, of trial 0, and of whoever is best on that head."""

from collections.abc import Iterator

from mhray.tuning.page.blocks import Section, Table, text
from mhray.tuning.page.material import Material
from mhray.tuning.page.wording import change_of, counted, value_of
from mhray.tuning.record import TrialRecord

MEAN = "val/acc_mean"


def head_table(material: Material) -> Section:
    """The table of heads, with what its columns are."""
    best = material.best
    if best is None:
        return Section("Heads", (text("No trial is complete."),))
    name = material.baseline_name
    table = Table(
        (
            "head",
            f"best: trial {best.number}",
            f"trial 0: {name}",
            "difference",
            "best on this head",
        )
        + (("test: best", "test: trial 0") if material.tested else ()),
        tuple(_row(material, metric, word) for metric, word in _rows(material)),
    )
    return Section("Heads", (table, text(*_notes(material))))


def champion_of(material: Material, metric: str) -> TrialRecord:
    """The complete trial that is best on one metric; the earliest of equals."""
    return max(material.complete, key=lambda record: material.validated(record)[metric])


def _rows(material: Material) -> list[tuple[str, str]]:
    """The metrics of the table, each with its word: heads, their mean, what chooses the best."""
    select = material.study.select.metric
    heads = zip(material.metrics, material.heads, strict=True)
    words = {select: select, **dict(heads), MEAN: "mean"}
    words[select] = words.pop(select)
    known = material.validated(material.best) if material.best else {}
    return [(metric, word) for metric, word in words.items() if metric in known]


def _row(material: Material, metric: str, word: str) -> tuple[str, ...]:
    best, baseline = material.best, material.baseline
    own = material.validated(best).get(metric) if best else None
    other = material.validated(baseline).get(metric) if baseline else None
    change = "-" if own is None or other is None else change_of(metric, own - other)
    cells = [word, value_of(metric, own), value_of(metric, other), change, _best(material, metric)]
    if material.tested:
        on_test = metric.replace("val/", "test/", 1)
        tested = [record.test.get(on_test) if record else None for record in (best, baseline)]
        cells += [value_of(on_test, value) for value in tested]
    return tuple(cells)


def _best(material: Material, metric: str) -> str:
    """Who is best on one head; of other metrics it is not said, since less may be better."""
    if metric not in (*material.metrics, MEAN):
        return "-"
    champion = champion_of(material, metric)
    value = value_of(metric, material.validated(champion)[metric])
    return f"{value} (trial {champion.number})"


def _notes(material: Material) -> Iterator[str]:
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
