"""The command that shows what is in a data set: ``python -m mhray.data.inspect DIR``."""

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from mhray.data.batches import RAW_SUFFIX, TEST, TRAIN, is_missing
from mhray.data.contact_sheet import check_place, write_contact_sheet
from mhray.data.dataset import CIFAR100MHDataset
from mhray.data.findings import find_suspicious
from mhray.data.header import find_header
from mhray.data.overview import overview
from mhray.errors import MhrayError

EXAMPLES = """\
examples:
  python -m mhray.data.inspect data/multimnist
  python -m mhray.data.inspect data/multimnist --png sheet.png
  python -m mhray.data.inspect data/found --no-strict --layout HWC --png sheet.png
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Show a data set on one screen; the exit code, 2 if it cannot be opened."""
    options = _parser().parse_args(arguments)
    try:
        _inspect(options)
    except MhrayError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mhray.data.inspect",
        description="Show what is in a data set, and everything suspicious.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="a CIFAR-100-MH directory")
    parser.add_argument(
        "--png", metavar="FILE", type=Path, help="draw some train images with their targets"
    )
    parser.add_argument(
        "--layout",
        choices=("CHW", "HWC"),
        help="overrules the header's image_layout; a wrong one shows in the picture of --png",
    )
    parser.add_argument(
        "--no-strict",
        dest="strict",
        action="store_false",
        help="open a foreign format, counts that disagree, or no header; what was wrong is shown",
    )
    return parser


def _inspect(options: argparse.Namespace) -> None:
    if options.png is not None:
        check_place(options.png)
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        train = _open(options, train=True)
        test = None if is_missing(options.directory, TEST) else _open(options, train=False)
    told = dict.fromkeys(str(doubt.message) for doubt in doubts)
    files = _doubtful_files(options.directory)
    findings = [*files, *told, *find_suspicious(train, test)]
    if options.png is not None:
        title = f"{train.path}, read as {train.header.layout}"
        write_contact_sheet(train, title, options.png)
    _show(train, test, findings)


def _open(options: argparse.Namespace, *, train: bool) -> CIFAR100MHDataset:
    return CIFAR100MHDataset(
        options.directory, train, strict=options.strict, image_layout=options.layout
    )


def _doubtful_files(directory: Path) -> Iterator[str]:
    if find_header(directory) is None:
        yield "there is no header: size, layout and heads are what is usual, not what is known"
    for name in (TRAIN, TEST):
        if (directory / name).is_file() and (directory / f"{name}{RAW_SUFFIX}").is_file():
            yield f"{name}{RAW_SUFFIX} stands beside {name}, and is not read"


def _show(
    train: CIFAR100MHDataset, test: CIFAR100MHDataset | None, findings: Sequence[str]
) -> None:
    """Print the overview; what the output's encoding lacks becomes question marks."""
    console = Console()
    with console.capture() as captured:
        console.print(overview(train, test, findings))
    encoding = sys.stdout.encoding
    text = "\n".join(line.rstrip() for line in captured.get().splitlines())
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:
        # Whoever reads has seen enough. Python flushes once more at its end, which must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
