"""A data set on one screen, as plain text: splits, heads with the balance of classes, channels."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from mhray.data.batches import RAW_SUFFIX
from mhray.data.dataset import CIFAR100MHDataset
from mhray.data.findings import Counts, class_counts
from mhray.data.statistics import channel_statistics
from mhray.errors import printable
from mhray.heads import Head

_BAR = 20  # characters
_LEVELS = "·▁▂▃▄▅▆▇█"
_CHANNELS = 8  # shown
_HEADS, _FINDINGS = 8, 16  # shown


def overview(
    train: CIFAR100MHDataset, test: CIFAR100MHDataset | None, findings: Sequence[str]
) -> Table:
    """What is in a data set, in two columns that fit a screen of 80 characters."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(max_width=24, overflow="fold")
    table.add_column(overflow="fold")
    for name, lines in _rows(train, test, findings):
        table.add_row(Text(name), Text("\n".join(map(printable, lines))))
    return table


def bar_of(counts: Counts) -> str:
    """The counts as a small bar chart, one character per class, or per several of many classes.

    >>> bar_of(np.array([4, 0, 8, 1]))
    '▄·█▁'
    """
    parts = np.array_split(counts, min(_BAR, len(counts)))
    means = np.array([part.mean() for part in parts])
    return "".join(_LEVELS[level] for level in np.ceil(8 * means / means.max()).astype(int))


def _rows(
    train: CIFAR100MHDataset, test: CIFAR100MHDataset | None, findings: Sequence[str]
) -> Iterator[tuple[str, list[str]]]:
    header = train.header
    size = f"{header.height}x{header.width}x{header.channels} (height x width x channels)"
    yield "data set", [f"{header.dataset_name or '(no name)'}, {header.format} {header.version}"]
    yield "images", [f"{size}, read as {header.layout}"]
    yield "train", [_split(train)]
    yield "test", [_split(test) if test else "none"]
    yield "channels", _channels(train)
    yield "heads", ["with the balance of their classes in train"]
    counted = class_counts(train)
    for head, counts in counted[:_HEADS]:
        yield f"  {head.name}", _head(train, head, counts)
    if len(counted) > _HEADS:
        yield "", [f"and {len(counted) - _HEADS} more heads"]
    yield "findings", _listed(findings)


def _split(data: CIFAR100MHDataset) -> str:
    form = "raw records" if data.path.suffix == RAW_SUFFIX else "pickle"
    size = decimal(data.path.stat().st_size)
    return f"{len(data)} samples in {data.path.name} ({form}, {size})"


def _channels(train: CIFAR100MHDataset) -> list[str]:
    more = train.header.channels - _CHANNELS
    rest = f" and {more} more" if more > 0 else ""
    return [
        f"{name} {' '.join(f'{value:.3f}' for value in values[:_CHANNELS])}{rest}"
        for name, values in zip(("mean", "std "), channel_statistics(train.images), strict=True)
    ]


def _head(train: CIFAR100MHDataset, head: Head, counts: Counts) -> list[str]:
    info = train.get_parameter_info(head.name)
    balance = "skewed" if head.is_skewed else "even"
    values = f"{head.num_classes} classes, values {info['min']} to {info['max']}"
    lines = [
        f"{bar_of(counts)}  {balance}, {info['scale']}, {values}",
        _spread(head, counts),
        info["description"],
    ]
    return [line for line in lines if line]


def _spread(head: Head, counts: Counts) -> str:
    fewest, most = counts.min(), counts.max()
    if fewest == most:
        return f"{most} images in every class"
    rarest, commonest = (head.name_of(int(index)) for index in (counts.argmin(), counts.argmax()))
    return (
        f"{fewest} to {most} images per class, median {np.median(counts):g}; "
        f"rarest {rarest}, commonest {commonest}"
    )


def _listed(findings: Sequence[str]) -> list[str]:
    more = len(findings) - _FINDINGS
    rest = [f"- and {more} more"] if more > 0 else []
    return [*(f"- {finding}" for finding in findings[:_FINDINGS]), *rest] or ["nothing suspicious"]
