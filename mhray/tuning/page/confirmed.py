"""What fresh seeds say of the best trials: the confirmation's verdict and its candidates."""

from collections.abc import Sequence
from functools import partial

from mhray.tuning.page.blocks import Section, Table, points, text
from mhray.tuning.page.material import Material
from mhray.tuning.page.wording import counted, value_of
from mhray.tuning.verdict import Verdict

SHOWN = {"acc_mean": "the mean"}


def verdict_of(material: Material) -> Verdict | None:
    """The verdict; None if nothing is confirmed, or not yet."""
    state = material.confirmation
    if state is None or state.winner is None:
        return None
    heads = {f"{head}_acc": head for head in material.heads}
    return Verdict(state, {**heads, **SHOWN}, partial(value_of, state.study.select.metric))


def whole(sentences: Sequence[str]) -> list[str]:
    """Sentences of a verdict as a page has them.

    >>> whole(["trial 3 beats trial 0 by 1.2 ± 0.4 points"])
    ['Trial 3 beats trial 0 by 1.2 ± 0.4 points.']
    """
    return [f"{said[0].upper()}{said[1:]}." for said in sentences]


def confirmed(material: Material) -> Section:
    """The candidates and what each reached with its fresh seeds; no block without a verdict."""
    verdict, state = verdict_of(material), material.confirmation
    if state is None:
        return Section("Fresh seeds", ())
    if verdict is None:
        wanted = counted(len(state.wanted()), "run")
        return Section("Fresh seeds", (text(f"{wanted} with fresh seeds are still to come."),))
    header, rows = verdict.cells()
    return Section(
        "Fresh seeds",
        (
            Table(header, rows, ends_in_words=True),
            points(whole(verdict.sentences())),
            text(
                "Each candidate was trained again with the same fresh seeds, and the best median "
                "wins. All intervals of this section hold together in 19 of 20 studies."
            ),
        ),
    )
