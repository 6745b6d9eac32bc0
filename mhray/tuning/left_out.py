"""Which heads the trials of a study leave untrained, and what that forbids.

One metric ranks all trials, so each of them has to log it, and of the same heads. A grid ranks only
trials that differ in what is tuned, so there each is judged by the heads that it has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mhray.errors import ConfigError
from mhray.heads import Head
from mhray.models.trained_heads import (
    WHERE,
    predicted_heads,
    refuse_other_heads,
    refuse_unpredicted,
    trained_heads,
)
from mhray.training.selection import why_no_judge
from mhray.tuning.distributions import LOSS_WEIGHTS
from mhray.tuning.rules import Finding, by_path, metrics_of
from mhray.tuning.scheduler_kinds import AshaScheduler
from mhray.tuning.space import Entry, format_override, walk
from mhray.tuning.study import Study
from mhray.tuning.world import Compose
from mhray.tuning.yaml_lines import Location


@dataclass(frozen=True)
class Variant:
    """What some trials of a study have in ``model.train_heads`` and ``model.weighting``.

    Attributes:
        location: where the study file says so.
        options: the searched options that lead to it, as overrides.
        model: the section of their config.
    """

    location: Location
    options: tuple[str, ...]
    model: Mapping[str, Any]

    @property
    def train_heads(self) -> Any:
        """As in the config: None for all heads, one of them, or a list."""
        return self.model.get("train_heads")


def variants(study: Study, compose: Compose, base: Sequence[str]) -> list[Variant]:
    """All that trials may have; ``base`` are the overrides of ``study.base`` that compose."""
    varied = [entry for entry in walk(study.search, ("search",)) if _varies(entry)]
    found = [variant for entry in varied for variant in _drawn(entry, compose, base)]
    if not any(entry.path.lstrip("+") == WHERE and not entry.active for entry in varied):
        path = next((path for path in study.base if path.lstrip("+") == WHERE), WHERE)
        found.append(Variant(("base", path), (), compose(base)["model"]))
    return found


def unfit_heads(study: Study, found: Sequence[Variant], heads: Sequence[Head]) -> Iterator[Finding]:
    """Variants that name no head of the data, or leave out what else the study names."""
    names = [head.name for head in heads]
    for variant in found:
        weighed = {*(variant.model.get("loss_weights") or {}), *searched_weights(study, variant)}
        primary_head = variant.model.get("primary_head")
        try:
            trained = trained_heads(variant.train_heads, names)
            refuse_other_heads(names, trained, sorted(weighed.intersection(names)), primary_head)
            predicted = predicted_heads(heads, variant.train_heads)
            refuse_unpredicted(primary_head, [head.name for head in predicted])
        except ConfigError as error:
            if variant.options:
                yield variant.location, str(error).removeprefix(f"{WHERE}: ")
            else:
                yield from by_path(study, str(error))


def unlogged_metrics(
    study: Study, found: Sequence[Variant], heads: Sequence[Head]
) -> Iterator[Finding]:
    """Metrics that the study judges by and some of its trials do not log."""
    ranks_rows = study.grid is None or WHERE in study.grid.tune or study.scheduler is not None
    for location, metric in metrics_of(study):
        if metric.startswith(("train/", "test/")):
            continue
        problems = (
            why_no_judge(metric, heads, variant.train_heads, compares=ranks_rows)
            for variant in found
        )
        if problem := next(filter(None, problems), None):
            yield location, problem


def incomparable_heads(
    study: Study, found: Sequence[Variant], heads: Sequence[Head]
) -> Iterator[Finding]:
    """A scheduler that compares heads, where there is none that all trials predict."""
    predicted = [predicted_heads(heads, variant.train_heads) for variant in found]
    match study.scheduler:
        case AshaScheduler(asha=asha) if asha.by == "heads":
            if not any(all(head in some for some in predicted) for head in heads):
                message = "compares the heads that all trials predict, and there is none"
                yield ("scheduler", "asha", "by"), f"{message}; write select"


def searched_weights(study: Study, variant: Variant) -> Iterator[str]:
    """The heads whose loss weights are searched in some of these trials."""
    drawn = dict(_chosen(variant.options))
    for entry in walk(study.search):
        if any(drawn.get(path, option) != option for path, option in _chosen(entry.active)):
            continue
        for path in entry.distribution.sets(entry.path):
            section, _, head = path.lstrip("+").rpartition(".")
            if section == LOSS_WEIGHTS:
                yield head


def _chosen(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Paths and what was drawn for them."""
    for option in options:
        path, _, value = option.partition("=")
        yield path, value


def _varies(entry: Entry) -> bool:
    """Whether a searched path is one of the two keys, or a group whose files may have them."""
    path = entry.path.lstrip("+")
    return path == WHERE or path.startswith("model.weighting.") or "." not in path


def _drawn(entry: Entry, compose: Compose, base: Sequence[str]) -> Iterator[Variant]:
    for step, draw in entry.distribution.examples(entry.path):
        options = (*entry.active, *(format_override(*item) for item in draw.items()))
        try:
            config = compose([*base, *options])
        except ConfigError:
            continue  # whoever checks all draws says so
        yield Variant((*entry.location, *step), options, config["model"])
