"""What may be drawn, tried on the run's config and its network before anything is drawn.

All examples of an option are tried in few draws: the low ends of all ranges together, the high
ends, and each choice. Only where a draw is refused is it asked which example is to blame. To
compose a config takes a tenth of a second and a step of a small network less.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mhray.tuning.distributions import Distribution, Draw
from mhray.tuning.rules import Finding, by_path
from mhray.tuning.schema import unquoting, written
from mhray.tuning.space import Entry, format_override, value_at
from mhray.tuning.study import Study
from mhray.tuning.world import Compose, refusal
from mhray.tuning.yaml_lines import Location, Value

Attempt: TypeAlias = Callable[[Sequence[str]], object]

_BASE: Location = ("base",)
_ENDS = ("lowest", "highest")


class Example(NamedTuple):
    """What may be drawn for one entry of the study.

    Attributes:
        is_end: whether it is an end of a range, and no choice.
    """

    location: Location
    draw: Draw
    is_end: bool

    @property
    def overrides(self) -> list[str]:
        """As typed."""
        return [format_override(path, value) for path, value in self.draw.items()]


@dataclass(frozen=True)
class Context:
    """What is drawn together: the entries of an option, and those around it.

    Attributes:
        location: of the option, or of ``search``.
        active: the options that lead there, as overrides.
        own: the examples of each of its entries.
        outer: those of each entry around it.
        is_first: whether no other option at its place comes before it.
    """

    location: Location
    active: tuple[str, ...]
    own: list[list[Example]]
    outer: list[list[Example]]
    is_first: bool

    def draws(self) -> Iterator[list[Example]]:
        """Few draws with all examples in them: the first of each entry, then the second, ...

        Entries around options have all their examples in the first option's draws; in those of the
        others an end of each range, at least.
        """
        columns = [column for column in (*self.outer, *self.own) if column]
        counted = columns if self.is_first else [column for column in self.own if column]
        ends = 2 if any(column[0].is_end for column in columns) else 1
        for index in range(max([ends, *map(len, counted)])):
            yield [examples[min(index, len(examples) - 1)] for examples in columns]

    def ends(self, index: int) -> list[str]:
        """The low (0) or high (1) ends of all ranges, with the first of each choice, as typed."""
        columns = [column for column in (*self.outer, *self.own) if column]
        drawn = [column[index if column[0].is_end else 0] for column in columns]
        return [override for example in drawn for override in example.overrides]


def unfitting_draws(
    study: Study, compose: Compose, attempt: Attempt, base: Sequence[str]
) -> Iterator[Finding]:
    """Draws that the run's config or its network does not take.

    Values that only clash with each other are let through, as long as they are not all at the low
    or all at the high end of their ranges.
    """
    told: set[Location] = set()
    of_entries: set[Finding] = set()
    for context in _contexts(study.search, ("search",), (), [], is_first=True):
        for index, drawn in enumerate(context.draws()):
            sound = [example for example in drawn if example.location not in told]
            found = list(_problems_in(context, index, sound, compose, attempt, base))
            told.update(location for location, _ in found)
            for location, problem in found:
                if (once := (_entry(location), problem)) in of_entries:
                    continue
                of_entries.add(once)
                one_line = (location, "; ".join(problem.splitlines()))
                yield from by_path(study, problem) if location == _BASE else [one_line]
            if context.location in told:
                break


def _entry(location: Location) -> Location:
    """The place of an entry, for that of one of its choices."""
    return location[:-1] if isinstance(location[-1], int) else location


def text_problem(value: str, in_config: Value) -> str:
    """What is wrong with text where the config has something else; empty if nothing is."""
    if value == "auto" or "${" in value:
        return ""
    if isinstance(in_config, bool):
        return f"should be true or false, not {written(value)}"
    if isinstance(in_config, int | float):
        return f"should be a number, not {written(value)}{unquoting(value)}"
    return ""


def _contexts(
    space: Mapping[str, Distribution],
    location: Location,
    active: tuple[str, ...],
    outer: list[list[Example]],
    *,
    is_first: bool,
) -> Iterator[Context]:
    """The contexts of a space that have no further options in them."""
    columns = {
        path: list(_examples(Entry((*location, path), path, distribution, active)))
        for path, distribution in space.items()
    }
    forks = {path: space[path].options() for path in space if space[path].options()}
    if not forks:
        yield Context(location, active, list(columns.values()), outer, is_first)
    for path, options in forks.items():
        around = [*outer, *(column for other, column in columns.items() if other != path)]
        for option, inside in options.items():
            here = (*location, path, "one_of", option)
            chosen = (*active, format_override(path, option))
            first = is_first and option == next(iter(options))
            yield from _contexts(inside, here, chosen, around, is_first=first)


def _examples(entry: Entry) -> Iterator[Example]:
    """The examples of an entry; of options the first, since each has draws of its own."""
    for step, draw in entry.distribution.examples(entry.path):
        yield Example((*entry.location, *step), draw, is_end=not step)
        if entry.distribution.options():
            return


def _problems_in(
    context: Context,
    index: int,
    drawn: Sequence[Example],
    compose: Compose,
    attempt: Attempt,
    base: Sequence[str],
) -> Iterator[Finding]:
    """What is wrong with examples that are drawn together; nothing, if they only clash."""
    around = [*base, *context.active]
    texts = [(example, _misplaced_text(example, compose, around)) for example in drawn]
    misplaced = [(example.location, problem) for example, problem in texts if problem]
    yield from misplaced
    sound = [example for example, problem in texts if not problem]
    together = [override for example in sound for override in example.overrides]
    if not (refused := refusal(attempt, [*around, *together])):
        return
    if without := refusal(attempt, around):
        yield context.location if context.active else _BASE, without
    if refused == without or (without and context.active):
        return
    alone = [(each, refusal(attempt, [*around, *each.overrides])) for each in sound]
    to_blame = [_place(each, context, why) for each, why in alone if why not in ("", without)]
    yield from to_blame
    if without or to_blame or misplaced or index >= len(_ENDS):
        return
    if refused := refusal(attempt, [*around, *context.ends(index)]):
        yield context.location, f"the {_ENDS[index]} values of all ranges together: {refused}"


def _place(example: Example, context: Context, why: str) -> Finding:
    is_outer = example.location[: len(context.location)] != context.location
    return example.location, f"with {', '.join(context.active)}: {why}" if is_outer else why


def _misplaced_text(example: Example, compose: Compose, around: Sequence[str]) -> str:
    texts = [(path, value) for path, value in example.draw.items() if isinstance(value, str)]
    if not texts or refusal(compose, around):
        return ""
    return "".join(text_problem(value, value_at(compose(around), path)) for path, value in texts)
