"""What a report consists of, before it has a form: sections of sentences, tables, code and figures.

HTML and Markdown are made of the same blocks, so that they cannot say different things.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mhray.tuning.page.figure import Figure


@dataclass(frozen=True)
class Text:
    """Sentences of one paragraph, or points of one list."""

    sentences: tuple[str, ...]
    is_list: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells below a header; the first column holds names, the others numbers.

    Attributes:
        ends_in_words: whether the last column holds words instead.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ends_in_words: bool = False


@dataclass(frozen=True)
class Code:
    """What can be pasted into a shell."""

    text: str


@dataclass(frozen=True)
class Figures:
    """Figures that stand side by side, as far as there is room.

    Attributes:
        name: of the file that holds them all, without its ending.
        caption: what they show, for whoever cannot see them as well.
    """

    name: str
    caption: str
    figures: tuple[Figure, ...]


Block: TypeAlias = Text | Table | Code | Figures


@dataclass(frozen=True)
class Section:
    """A part of the report with a heading of its own."""

    title: str
    blocks: tuple[Block, ...]


def text(*sentences: str) -> Text:
    """A paragraph of the sentences that say something."""
    return Text(tuple(sentence for sentence in sentences if sentence))


def points(sentences: Sequence[str]) -> Text:
    """A list with a point for each sentence."""
    return Text(tuple(sentences), is_list=True)


def figures_of(sections: Sequence[Section]) -> Iterator[Figures]:
    """All figures of a report, in their order."""
    for section in sections:
        yield from (block for block in section.blocks if isinstance(block, Figures))
