"""What a study's own run in MLflow says of it: figures, a note, and the front as a table."""

import math
from collections.abc import Iterator
from typing import Any

from mhray.tuning.page.answer import answer, question
from mhray.tuning.page.blocks import Section, text
from mhray.tuning.page.cautions import cautions
from mhray.tuning.page.head_table import MEAN, champion_of
from mhray.tuning.page.markdown import markdown
from mhray.tuning.page.material import Material
from mhray.tuning.page.repeat import commands
from mhray.tuning.page.trade_offs import front_over_heads
from mhray.tuning.record import State
from mhray.tuning.report import front_of

_HOUR = 3600.0


def study_note(material: Material) -> str:
    """Question, answer, what repeats it, and what to beware of, in Markdown."""
    more = "The whole report is among the artifacts: report/index.html."
    sections = (
        question(material),
        answer(material),
        Section("To repeat it", (*commands(material), text(more))),
        cautions(material),
    )
    return markdown("", sections)


def study_metrics(material: Material) -> dict[str, float]:
    """How trials ended, what they cost, and the best that any complete one reached on each head.

    All of it follows from the trials, so whoever tells it again tells the same.
    """
    return {**_ends(material), **_cost(material), **dict(_best_on_heads(material))}


def front_table(material: Material) -> dict[str, list[Any]]:
    """The trials that no other complete one beats, the best first, as MLflow shows a table.

    They are compared by the study's objectives or, if it has one alone, by the accuracies of all
    heads; a column of each follows, and of each searched value.
    """
    if len(material.study.objectives) > 1:
        goals = tuple(goal.metric for goal in material.study.objectives)
        front = front_of(material.complete, material.study)
    else:
        goals, front = material.metrics, front_over_heads(material)
    paths = [quantity.path for quantity in material.quantities]
    select = material.study.select.metric
    columns = [*dict.fromkeys([select, *goals, MEAN])]
    front.sort(
        key=lambda record: material.validated(record).get(select, math.nan),
        reverse=material.study.select.mode == "max",
    )
    rows = [
        [
            record.number,
            *(_short(material.validated(record).get(metric)) for metric in columns),
            *(material.values(record).get(path) for path in paths),
        ]
        for record in front
    ]
    return {"columns": ["trial", *columns, *paths], "data": rows}


def _short(value: float | None) -> float | None:
    # Accuracies are of single precision: 0.77 is 0.7699999809.
    return None if value is None else float(f"{value:.6g}")


def _ends(material: Material) -> dict[str, float]:
    names: dict[State, str] = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed"}
    states = [record.state for record in material.records]
    return {f"trials/{name}": float(states.count(state)) for state, name in names.items()}


def _cost(material: Material) -> dict[str, float]:
    """Of the search and of the runs with fresh seeds."""
    runs = (*material.records, *material.runs)
    hours = sum(record.seconds for record in runs) / _HOUR
    found = {
        "cost/epochs": float(sum(len(record.epochs) for record in runs)),
        "cost/core_hours": material.core_seconds / _HOUR,
        "cost/gpu_hours": hours * material.study.resources.gpus_per_trial,
    }
    return {name: value for name, value in found.items() if value}


def _best_on_heads(material: Material) -> Iterator[tuple[str, float]]:
    for metric in material.metrics if material.complete else ():
        best = material.validated(champion_of(material, metric))[metric]
        yield f"best_on_head/{metric.removeprefix('val/')}", best
