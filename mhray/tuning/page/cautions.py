"""What a reader should beware of before believing the rest of the report."""

from collections.abc import Iterator, Mapping

from mhray.heads import Head
from mhray.tuning.page.blocks import Section, points, text
from mhray.tuning.page.material import Material
from mhray.tuning.page.searched import dimensions
from mhray.tuning.page.wording import counted, listed, number
from mhray.tuning.record import BASELINE, TrialRecord
from mhray.tuning.weak_heads import weak_heads

PER_DIMENSION = 5  # complete trials for each searched number, below which a space is hardly seen
ENDING = 2  # models that a study ends with: its winner, and what that is compared with
FAILURES = "checkpoints/<trial>/failure.txt"
_ANY_COUNT = 2  # of classes: what is at chance follows from the metrics alone


def cautions(material: Material) -> Section:
    """All warnings, or that there is none."""
    found = cautions_of(material)
    return Section("Warnings", (points(found) if found else text("None."),))


def cautions_of(material: Material) -> list[str]:
    """Every warning, the gravest first."""
    return [
        *_weak(material),
        *_shown_to_test(material),
        *_edges(material),
        *_few(material),
        *_failed(material),
        *_unfinished(material),
        *_uncommitted(material),
    ]


def _weak(material: Material) -> Iterator[str]:
    end = material.ends_with
    if end is None:
        return
    logged = material.validated(end)
    for caution in weak_heads(logged, _heads_of(material, logged)):
        yield f"Of {_name_of(end)}, {caution}."


def _name_of(end: TrialRecord) -> str:
    return end.candidate or f"trial {end.number}"


def _heads_of(material: Material, logged: Mapping[str, float]) -> list[Head]:
    """The heads with those that imply them, as the names of the metrics have them."""
    return [
        Head(
            head,
            _ANY_COUNT,
            implied_by=tuple(
                other for other in material.heads if f"val/{head}_acc_implied_by_{other}" in logged
            ),
        )
        for head in material.heads
    ]


def _shown_to_test(material: Material) -> Iterator[str]:
    """Whether winners before the last one have seen the test split."""
    end = material.ends_with
    if material.study.grid or material.best is None or end is None:
        return
    ends_with = {BASELINE, material.best.number}
    earlier = [record.number for record in material.tested if record.number not in ends_with]
    shown, now = material.shown_to_test, f"{_name_of(end)} wins now"
    if earlier:
        trials = listed([f"trial {number}" for number in earlier])
        told = f"{trials} won before it went on, and {now}"
    elif shown > ENDING:
        told = "some won before it went on"
    else:
        return
    yield (
        f"This study has shown {shown} models to the test batch: {told}. The more models a test "
        "batch has seen, the less it says of the last one."
    )


def _edges(material: Material) -> Iterator[str]:
    end = material.ends_with
    if end is None:
        return
    drawn = material.values(end)
    for quantity in material.quantities:
        value = drawn.get(quantity.path)
        if isinstance(value, int | float) and (edge := quantity.edge(value)):
            low, high = map(number, quantity.ends)
            yield (
                f"{quantity.path} of {_name_of(end)} is {number(value)}, at the {edge} end of its "
                f"range [{low}, {high}]: the best may lie beyond."
            )


def _few(material: Material) -> Iterator[str]:
    numbers, complete = dimensions(material.quantities), len(material.complete)
    if complete < PER_DIMENSION * numbers and not material.study.grid:
        yield (
            f"{counted(complete, 'complete trial')} for {counted(numbers, 'searched value')}: with "
            f"fewer than {PER_DIMENSION * numbers}, much of the space was not seen."
        )


def _failed(material: Material) -> Iterator[str]:
    failed = [str(record.number) for record in material.records if record.state == "FAIL"]
    if failed:
        trials = f"{'trial' if len(failed) == 1 else 'trials'} {listed(failed)}"
        yield f"Failed, and part of nothing here: {trials}; why is in {FAILURES}."


def _unfinished(material: Material) -> Iterator[str]:
    if not material.is_done:
        ended = sum(record.state != "RUNNING" for record in material.records)
        yield f"The study has not ended: {ended} of {material.budget} trials have."


def _uncommitted(material: Material) -> Iterator[str]:
    if material.origin.get("commit", "").endswith("-dirty"):
        yield (
            "It was started from a work tree with changes that no commit holds, so the commit "
            "alone does not repeat it."
        )
