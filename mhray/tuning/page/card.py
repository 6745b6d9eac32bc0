"""The card of a registered model, in Markdown: what it is, how good, and where it ends.

Whoever finds the model in MLflow finds it too, so it has to do without the study. MLflow's
databases hold 5 000 characters of it; names of classes and heads give way first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mhray.heads import Head
from mhray.training.fitting import cut
from mhray.training.origin import reproduce_line
from mhray.tuning.page.answer import answer_sentences
from mhray.tuning.page.blocks import Block, Code, Section, Table, points, text
from mhray.tuning.page.card_accuracy import Judged, accuracies
from mhray.tuning.page.markdown import markdown
from mhray.tuning.page.material import Material
from mhray.tuning.page.wording import counted
from mhray.tuning.record import TrialRecord
from mhray.tuning.weak_heads import weak_heads

LONGEST = 4700  # characters: the registered model's own says before it which version it is of
_LONGEST_ANSWER = 900
_SHORTEST_LINE = 200  # characters of the command that are left where heads take all the room
_FEWER = ((24, 120), (12, 60), (6, 30))  # heads, and characters of the names of their classes


@dataclass(frozen=True)
class Product:
    """A registered model and its data, as the journal does not have them.

    Attributes:
        network: the name of its class.
        parameters: that are trained.
        data: what the data set is called.
        heads: of the data.
        predicted: the names of those that it predicts.
        image_shape: `(channels, height, width)`, the last two in pixels.
        train: images; so are the next two.
        limits: keys of the trainer that left out images, and their values.
    """

    network: str
    parameters: int
    data: str
    heads: tuple[Head, ...]
    predicted: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train: int
    val: int
    test: int
    limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def judged(self) -> Judged:
        """The images whose share an accuracy is."""
        is_whole = [f"limit_{split}_batches" not in self.limits for split in ("val", "test")]
        return Judged(self.val * is_whole[0], self.test * is_whole[1])


def card_of(material: Material, product: Product) -> str:
    """The card of the model that a study ends with; empty if it ends with none."""
    model = material.ends_with
    if model is None:
        return ""
    own = Path(material.config_dir) if material.config_dir else None
    line = reproduce_line(model.overrides, model.seed, own)
    for heads, letters in _FEWER:
        bare = _card(material, product, model, heads, letters, "")
        room = LONGEST - len(bare)
        if len(line) <= room:
            break
    return cut(
        _card(material, product, model, heads, letters, cut(line, max(room, _SHORTEST_LINE))),
        LONGEST,
    )


def names_of_classes(head: Head, letters: int) -> str:
    """The names of a head's classes, or their values, as far as there is room.

    >>> names_of_classes(Head("sum", 19), 60), names_of_classes(Head("l", 3, 0, ("a", "b", "c")), 5)
    ('0 to 18', 'a, b and 1 other')
    """
    if not head.class_names:
        return f"{head.name_of(0)} to {head.name_of(head.num_classes - 1)}"
    shown: list[str] = []
    for name in head.class_names:
        if shown and len(", ".join([*shown, name])) > letters:
            left = head.num_classes - len(shown)
            return f"{', '.join(shown)} and {counted(left, 'other')}"
        shown.append(name)
    return ", ".join(shown)


def _card(
    material: Material, product: Product, model: TrialRecord, heads: int, letters: int, line: str
) -> str:
    known = [head for head in product.heads if head.name in product.predicted]
    shown = known[:heads]
    name = model.candidate or f"trial {model.number}"
    sections = (
        Section("", (text(f"{name[0].upper()}{name[1:]} of study {material.study.name}."),)),
        Section("Model", (text(*_what(product)), text(_found(material)))),
        Section("Data", (text(*_data(material, product)),)),
        Section("Heads", (_heads(shown, letters), text(*_of_heads(known, shown)))),
        Section(
            "Accuracy",
            accuracies(material, model, [head.name for head in shown], product.judged),
        ),
        Section("Limits", (points([*_limits(material, product, model, shown)]),)),
        Section("To repeat it", (Code(line), text(*_origin(material)))),
    )
    return markdown("", sections)


def _what(product: Product) -> Iterator[str]:
    channels, height, width = product.image_shape
    size = f"(N, {height}, {width}, {channels})"
    yield (
        f"{product.network} with {counted(product.parameters, 'parameter')}. It takes uint8 images "
        f"{size}: height, width, channels. It gives the class of each head, counted from 0, with "
        "its name and its probability."
    )


def _found(material: Material) -> str:
    return cut(" ".join(answer_sentences(material)), _LONGEST_ANSWER)


def _data(material: Material, product: Product) -> Iterator[str]:
    channels, height, width = product.image_shape
    yield (
        f"{product.data}: images of {height} x {width} pixels with "
        f"{counted(channels, 'channel')}, {product.train} to train on, {product.val} for "
        f"validation, which chose, and {product.test} of the test batch, which chose nothing."
    )
    yield f"Its fingerprint (sha256) is {material.data.get('fingerprint', '-')}."


def _heads(heads: Sequence[Head], letters: int) -> Block:
    rows = ((h.name, str(h.num_classes), names_of_classes(h, letters)) for h in heads)
    return Table(("head", "classes", "names"), tuple(rows), ends_in_words=True)


def _of_heads(known: Sequence[Head], shown: Sequence[Head]) -> Iterator[str]:
    if any(not head.class_names for head in shown):
        yield "Classes without names have their values in the data files."
    if missing := len(known) - len(shown):
        yield f"The table lacks {counted(missing, 'head')}; trials.csv of the study's run has them."


def _limits(
    material: Material, product: Product, model: TrialRecord, heads: Sequence[Head]
) -> Iterator[str]:
    yield (
        "It was trained on these images alone. A picture of another kind gets an answer too, and "
        "nothing in the answer tells."
    )
    yield "It is not calibrated: a probability of 0.9 need not be right nine times in ten."
    metrics = model.best_epoch(material.study.selection).metrics
    yield from (f"{said[0].upper()}{said[1:]}." for said in weak_heads(metrics, heads))
    yield from _uneven(heads, metrics)
    yield from (
        f"trainer.{key} was {value}: a part of the images was left out."
        for key, value in product.limits.items()
    )
    missing = [head.name for head in product.heads if head.name not in product.predicted]
    if missing:
        yield f"It does not predict {', '.join(missing)}."
    if material.shown_to_test:
        yield (
            f"This study has shown {counted(material.shown_to_test, 'model')} to the test batch. "
            "What others have shown it is not known here."
        )


def _uneven(heads: Sequence[Head], metrics: Mapping[str, float]) -> Iterator[str]:
    for head in heads:
        if head.is_skewed:
            balanced = metrics.get(f"val/{head.name}_balanced_acc")
            said = "" if balanced is None else f": the mean over classes is {100 * balanced:.1f} %"
            yield (
                f"Classes of {head.name} are not equally common (the commonest has "
                f"{100 * head.largest_share:.1f} % of the samples), and the rare ones may be worse "
                f"than its accuracy{said}."
            )


def _origin(material: Material) -> Iterator[str]:
    origin = material.origin
    versions = ", ".join(f"{name} {origin[name]}" for name in ("mhray", "torch") if name in origin)
    commit = f"commit {origin['commit']}" if origin.get("commit") else ""
    told = ", ".join(part for part in (commit, versions) if part)
    yield f"With {told}." if told else ""
