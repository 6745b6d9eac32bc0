"""How much each searched quantity matters for each head, and which ones chance could explain."""

from collections.abc import Iterator

from mhray.tuning.page.blocks import Figures, Section, Table, text
from mhray.tuning.page.figure import Bars, Figure
from mhray.tuning.page.importance import LEAST, Importance, importances
from mhray.tuning.page.material import Material, accuracy
from mhray.tuning.page.palette import colour_of
from mhray.tuning.page.searched import Quantity
from mhray.tuning.page.wording import counted, listed, percent

TITLE = "What matters for which head"


def matters(material: Material) -> Section:
    """Importances per head, in words, bars and a table."""
    found = importances_of(material)
    if not found:
        told = f"This takes {LEAST} complete trials; there are {len(material.complete)}."
        return Section(TITLE, (text(told),))
    return Section(
        TITLE,
        (
            text(*importance_sentences(material, found), *_left_out(material)),
            Figures(
                "importance",
                "Share of each searched quantity in what matters for each head.",
                _bars(found),
            ),
            _table(found),
        ),
    )


def importances_of(material: Material) -> list[Importance]:
    """The importance of what all complete trials drew, for each head."""
    shared = _shared(material)
    draws = [[material.values(one)[each.path] for each in shared] for one in material.complete]
    results = {
        head: [material.validated(record)[accuracy(head)] for record in material.complete]
        for head in material.heads
    }
    return importances(shared, draws, results)


def importance_sentences(material: Material, found: list[Importance]) -> Iterator[str]:
    """What matters most for each head, and what for none beyond chance."""
    for head in material.heads:
        real = [one for one in found if one.head == head and one.is_real]
        if real:
            first = max(real, key=lambda one: one.share)
            yield f"What {head} depends on most is {first.quantity.name} ({percent(first.share)})."
        else:
            yield f"What {head} depends on cannot be told from chance."
    real_names = {one.quantity.path for one in found if one.is_real}
    inert = dict.fromkeys(one.quantity.name for one in found if one.quantity.path not in real_names)
    if inert:
        trials = counted(len(material.complete), "complete trial")
        names = listed([*inert]).replace(" and ", " or ")
        yield f"No head depends on {names} in a way that {trials} can tell from chance."
    yield (
        "Shares are of PED-ANOVA: how differently values are spread among the best trials and "
        "among all of them."
    )


def _shared(material: Material) -> list[Quantity]:
    return [
        quantity
        for quantity in material.quantities
        if all(quantity.path in material.values(record) for record in material.complete)
    ]


def _left_out(material: Material) -> Iterator[str]:
    shared = _shared(material)
    left = [quantity.name for quantity in material.quantities if quantity not in shared]
    if left:
        yield f"Left out, since only some options have it: {listed(left)}."


def _bars(found: list[Importance]) -> tuple[Figure, ...]:
    heads = list(dict.fromkeys(one.head for one in found))
    series = tuple(
        Bars(
            head,
            tuple(one.quantity.name for one in found if one.head == head),
            tuple(100 * one.share for one in found if one.head == head),
            colour_of(index),
        )
        for index, head in enumerate(heads)
    )
    return (Figure("Importance", "share (%)", "", series),)


def _table(found: list[Importance]) -> Table:
    heads = list(dict.fromkeys(one.head for one in found))
    names = dict.fromkeys(one.quantity.name for one in found)
    cells = {
        (one.quantity.name, one.head): percent(one.share)
        if one.is_real
        else f"({percent(one.share)})"
        for one in found
    }
    rows = tuple((name, *(cells[name, head] for head in heads)) for name in names)
    return Table(("in brackets: not told from chance", *heads), rows)
