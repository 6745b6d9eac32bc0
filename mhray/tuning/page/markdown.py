"""The report as Markdown, with its figures as PNG beside it: for a paper, a wiki or a review."""

from collections.abc import Iterator, Sequence

from mhray.tuning.page.blocks import Block, Code, Figures, Section, Table, Text


def markdown(title: str, sections: Sequence[Section]) -> str:
    """The whole report; figures are looked for in the same directory.

    Nothing stands above its sections, or above one of them, if that has no title.
    """
    parts = [f"# {_plain(title)}"] if title else []
    for section in sections:
        parts += [f"## {section.title}"] if section.title else []
        parts += [part for block in section.blocks if (part := "\n".join(_lines(block)))]
    return "\n\n".join(parts) + "\n"


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Text(is_list=True):
            yield from (f"* {_plain(sentence)}" for sentence in block.sentences)
        case Text():
            yield " ".join(map(_plain, block.sentences))
        case Table():
            yield _row(block.header)
            last = "---" if block.ends_in_words else "---:"
            yield _row(("---", *("---:" for _ in block.header[2:]), last))
            yield from map(_row, block.rows)
        case Code():
            yield from ("```text", block.text, "```")
        case Figures():
            yield f"![{_plain(block.caption)}]({block.name}.png)"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell).replace('|', '&#124;') for cell in cells)} |"


def _plain(words: str) -> str:
    r"""Words in which nothing is taken for markup.

    >>> _plain("model_a*b <x>")
    'model\\_a\\*b &lt;x>'
    """
    for mark in ("\\", "*", "_", "`", "[", "]", "#"):
        words = words.replace(mark, f"\\{mark}")
    return words.replace("<", "&lt;").replace("\n", " ")
