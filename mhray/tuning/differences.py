"""What of a study is not what it was when its journal was written, and what of that may go on.

Trials are compared with each other, so what they are made of and judged by must stay. What only
widens where they come from, or says how they are run, may change if the user says so.

>>> before, now = ({"lr": Uniform(uniform=(0.0, high))} for high in (1.0, 2.0))
>>> [str(difference) for difference in of_spaces("search", before, now)]
['search.lr: [0.0, 1.0] -> [0.0, 2.0] (wider range)']
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mhray.tuning.distributions import Choice, Distribution, Integer, LogUniform, Uniform
from mhray.tuning.schema import Section, written
from mhray.tuning.simplex import Simplex
from mhray.tuning.space import OneOf
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Value

NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One entry of a study that is not what it was; the classes below it say what may become of it.

    Attributes:
        path: of the entry, as the study file has it.
        old: as one would write it.
        new: as one would write it.
    """

    path: str
    old: str
    new: str
    kind: ClassVar[str]

    def __str__(self) -> str:
        return f"{self.path}: {self.old} -> {self.new} ({self.kind})"


class Free(Difference):
    """The study goes on, and the change is shown."""


class Acceptable(Difference):
    """The study goes on if the user accepts it."""


class Refused(Difference):
    """The study cannot go on: its trials would not be comparable."""


class OtherBudget(Free):
    """The study ends elsewhere."""

    kind = "other budget"


class OtherConfirmation(Free):
    """The best trials are confirmed in another way."""

    kind = "other confirmation"


class OtherResources(Acceptable):
    """Trials get another part of the machines."""

    kind = "other resources"


class OtherScheduler(Acceptable):
    """Trials are stopped by another rule."""

    kind = "other scheduler"


class OtherSampler(Acceptable):
    """Trials are drawn by another rule."""

    kind = "other sampler"


class Widened(Acceptable):
    """Trials may come from more places: what was drawn could be drawn still."""


class WiderRange(Widened):
    """A range that holds the old one."""

    kind = "wider range"


class MoreChoices(Widened):
    """Choices or options that hold the old ones."""

    kind = "more choices"


class OtherOrder(Widened):
    """The same choices or options, in another order."""

    kind = "other order"


class NarrowerRange(Refused):
    """A range within the old one."""

    kind = "narrower range"


class OtherRange(Refused):
    """A range that neither holds the old one nor lies within it."""

    kind = "other range"


class FewerChoices(Refused):
    """Choices or options of which some are gone."""

    kind = "fewer choices"


class OtherChoices(Refused):
    """Choices or options of which some are gone and some are new, or are told apart otherwise."""

    kind = "other choices"


class OtherWeights(Refused):
    """A simplex of other names, with another sum or another floor: the same draw, other weights."""

    kind = "other weights"


class OtherKind(Refused):
    """A distribution of another kind."""

    kind = "other kind"


class AddedPath(Refused):
    """A path that no trial has."""

    kind = "added path"


class RemovedPath(Refused):
    """A path that trials have."""

    kind = "removed path"


class OtherValue(Refused):
    """What all trials have in common, or are judged by."""

    kind = "other value"


class OtherData(Refused):
    """Another data set, or another split of it."""

    kind = "other data"


SECTIONS: dict[str, type[Difference]] = {
    "objectives": OtherValue,
    "select": OtherValue,
    "enqueue": OtherValue,
    "sampler": OtherSampler,
    "scheduler": OtherScheduler,
    "resources": OtherResources,
    "budget": OtherBudget,
    "confirm": OtherConfirmation,
}


def of_studies(before: Study, now: Study) -> list[Difference]:
    """All that matters to trials; where a study keeps its files and its records does not."""
    return [
        *_of_values("base", before.base, now.base),
        *of_spaces("search", before.search, now.search),
        *(
            difference
            for section, kind in SECTIONS.items()
            for difference in _of_entries(
                section, kind, _dump(before, section), _dump(now, section)
            )
        ),
    ]


def of_data(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """How the data of two starts differ, in what the second one knows of them."""
    return [
        OtherData(f"data.{key}", written(before.get(key)), written(value))
        for key, value in now.items()
        if before.get(key) != value
    ]


def of_spaces(
    where: str, before: Mapping[str, Distribution], now: Mapping[str, Distribution]
) -> Iterator[Difference]:
    """How two spaces differ, path by path, those below options included."""
    for path in dict.fromkeys((*before, *now)):
        here = f"{where}.{path}"
        if path not in now:
            yield RemovedPath(here, _shown(before[path]), NOTHING)
        elif path not in before:
            yield AddedPath(here, NOTHING, _shown(now[path]))
        else:
            yield from _of_distributions(here, before[path], now[path])


def _of_distributions(path: str, before: Distribution, now: Distribution) -> Iterator[Difference]:
    match before, now:
        case Uniform(uniform=old), Uniform(uniform=new):
            yield from _of_ranges(path, old, new)
        case LogUniform(log_uniform=old), LogUniform(log_uniform=new):
            yield from _of_ranges(path, old, new)
        case Integer(integer=old), Integer(integer=new):
            yield from _of_ranges(path, old, new)
        case Choice(), Choice():
            yield from _of_choices(path, before.labels, now.labels)
        case OneOf(one_of=old), OneOf(one_of=new):
            yield from _of_choices(path, tuple(old), tuple(new))
            for option in [option for option in old if option in new]:
                yield from of_spaces(f"{path}.one_of.{option}", old[option], new[option])
        case Simplex(), Simplex() if before != now:
            yield OtherWeights(path, _shown(before), _shown(now))
        case _ if type(before) is not type(now):
            yield OtherKind(path, _shown(before), _shown(now))


def _of_ranges(
    path: str, old: tuple[float, float], new: tuple[float, float]
) -> Iterator[Difference]:
    if old != new:
        holds_the_old = new[0] <= old[0] and old[1] <= new[1]
        lies_within = old[0] <= new[0] and new[1] <= old[1]
        kind = WiderRange if holds_the_old else NarrowerRange if lies_within else OtherRange
        yield kind(path, written(old), written(new))


def _of_choices(path: str, old: Sequence[Value], new: Sequence[Value]) -> Iterator[Difference]:
    # As text, since 1, 1.0 and true are the same to Python and not to a network.
    before, now = ([written(value) for value in values] for values in (old, new))
    if before != now:
        is_kept, is_known = set(before) <= set(now), set(now) <= set(before)
        kinds = {
            (True, True): OtherOrder,
            (True, False): MoreChoices,
            (False, True): FewerChoices,
            (False, False): OtherChoices,
        }
        yield kinds[is_kept, is_known](path, written(old), written(new))


def _of_values(
    where: str, before: Mapping[str, Value], now: Mapping[str, Value]
) -> Iterator[Difference]:
    for path in dict.fromkeys((*before, *now)):
        here = f"{where}.{path}"
        if path not in now:
            yield RemovedPath(here, written(before[path]), NOTHING)
        elif path not in before:
            yield AddedPath(here, NOTHING, written(now[path]))
        elif written(before[path]) != written(now[path]):
            yield OtherValue(here, written(before[path]), written(now[path]))


def _of_entries(path: str, kind: type[Difference], old: Any, new: Any) -> Iterator[Difference]:
    """A difference for each innermost entry, as long as both sides have the same keys."""
    match old, new:
        case dict(), dict() if old.keys() == new.keys():
            for key in old:
                yield from _of_entries(f"{path}.{key}", kind, old[key], new[key])
        case _ if old != new:
            yield kind(path, written(old), written(new))


def _dump(study: Study, section: str) -> Any:
    return study.model_dump(mode="json", include={section})[section]


def _shown(section: Section) -> str:
    return written(section.model_dump(mode="json", exclude_defaults=True))
