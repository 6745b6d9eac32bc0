"""Whether MLflow's runs are what it was told: some changes it refuses, and others write there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

from mhray.training.outbox import RunUpdate

if TYPE_CHECKING:
    from mlflow.entities import Run


def disagreements(
    runs: "Mapping[str, Sequence[Run]]", updates: Sequence[RunUpdate]
) -> Iterator[str]:
    """What runs are and should not be after these updates, a line each."""
    told: dict[str, list[RunUpdate]] = {}
    for update in updates:
        told.setdefault(update.key, []).append(update)
    for key, of_one in told.items():
        for line in _disagreements(runs.get(key, ()), _merged(of_one)):
            yield f"{of_one[0].name}: {line}"


def _disagreements(runs: "Sequence[Run]", expected: RunUpdate) -> Iterator[str]:
    if len(runs) != 1:
        yield f"has {len(runs)} runs" if runs else "has no run"
        return
    data = runs[0].data
    if expected.status != runs[0].info.status:
        yield f"is {runs[0].info.status}, not {expected.status}"
    for name, value in {**expected.params, **expected.tags}.items():
        found = data.params.get(name) if name in expected.params else data.tags.get(name)
        if found != value:
            yield f"{name} is {found}, not {value}"
    for name, number in expected.metrics.items():
        # What is no finite number comes back as another one.
        if name not in data.metrics or (isfinite(number) and data.metrics[name] != number):
            yield f"{name} is {data.metrics.get(name)}, not {number}"


def _merged(told: Sequence[RunUpdate]) -> RunUpdate:
    """What a run is after all of its updates."""
    status = [update.status for update in told if update.status]
    return replace(
        told[0],
        status=status[-1] if status else "",
        metrics={name: value for update in told for name, value in update.metrics.items()},
        params={name: value for update in told for name, value in update.params.items()},
        tags={name: value for update in told for name, value in update.tags.items()},
    )
