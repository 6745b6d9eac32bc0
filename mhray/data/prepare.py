"""The command that builds a data set: ``python -m mhray.data.prepare NAME DIR``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mhray.data.sources import SOURCES, source_named
from mhray.errors import ConfigError, MhrayError

EXAMPLES = """\
examples:
  python -m mhray.data.prepare multimnist data/multimnist
  python -m mhray.data.prepare multimnist data/small --train 600 --test 100
  python -m mhray.data.prepare multimnist data/other --seed 1
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a data set and say on one line what was written; the exit code, 2 for a mistake."""
    options = _parser().parse_args(arguments)
    try:
        print(_prepare(options))
    except MhrayError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mhray.data.prepare",
        description="Build a data set into a directory that does not exist yet.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help=f"the data set: {', '.join(SOURCES)}")
    parser.add_argument("directory", metavar="DIR", type=Path, help="where to write it")
    parser.add_argument("--train", type=int, metavar="N", help="training images (default: all)")
    parser.add_argument("--test", type=int, metavar="N", help="test images (default: all)")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="S",
        default=0,
        help="the same seed, the same bytes (default: 0)",
    )
    return parser


def _prepare(options: argparse.Namespace) -> str:
    source = source_named(options.name, "NAME")
    train = source.train_samples if options.train is None else options.train
    test = source.test_samples if options.test is None else options.test
    for flag, value, smallest in (
        ("--train", train, 1),
        ("--test", test, 1),
        ("--seed", options.seed, 0),
    ):
        if value < smallest:
            raise ConfigError(f"{flag}: found {value}; write a whole number from {smallest} up")
    source.build(options.directory, train=train, test=test, seed=options.seed)
    heads = ", ".join(f"{head.name} ({head.num_classes})" for head in source.heads)
    channels, height, width = source.image_shape
    return (
        f"{options.directory}: {train} training and {test} test images, "
        f"{height}x{width}x{channels}; heads {heads}"
    )


if __name__ == "__main__":
    sys.exit(main())
