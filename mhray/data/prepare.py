"""The command that builds data sets: ``python -m mhray.data.prepare NAME DIR``.

``NAME`` is a data set that mhray can build by itself, or one of the ways to bring one's own.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mhray.data.cifar_archive import build_cifar100
from mhray.data.from_arrays import ArrayFiles, build_from_arrays
from mhray.data.header import read_header
from mhray.data.raw_form import KEPT_SUFFIX, rewrite_as_raw
from mhray.data.sources import SOURCES
from mhray.data.sources.source import Source
from mhray.errors import ConfigError, MhrayError, did_you_mean

PROGRAM = "python -m mhray.data.prepare"
EXIT_CODES = """\
exit codes:
  0  done
  2  something is wrong; the message says what to write
  3  stopped; nothing is half-written
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a data set and say on one line what was written; the exit code, 2 for a mistake."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    commands = _commands()
    try:
        _check_name(words, commands)
        options = _parser(commands).parse_args(words)
        for line in options.run(options):
            print(line)
    except MhrayError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing is half-written", file=sys.stderr)
        return 3
    return 0


@dataclass(frozen=True)
class _Command:
    what: str
    examples: tuple[str, ...]
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Iterable[str]]


def _commands() -> dict[str, _Command]:
    return {
        **{name: _source_command(source) for name, source in SOURCES.items()},
        "cifar100": _Command(
            "Build CIFAR-100, with the heads fine_label (100) and coarse_label (20)",
            ("data/cifar100", "data/cifar100 --archive cifar-100-python.tar.gz"),
            _add_cifar100_options,
            _run_cifar100,
        ),
        "from-arrays": _Command(
            "Build a data set of your own images, a NumPy array, and labels, a CSV",
            (
                "data/mine --images x.npy --labels y.csv",
                "data/mine --images x.npy --labels y.csv --test-fraction 0.2 --scale age=linear",
                "data/mine --images x.npy --labels y.csv --test-images u.npy --test-labels v.csv",
            ),
            _add_array_options,
            _run_from_arrays,
        ),
        "raw": _Command(
            "Rewrite the pickles of a data set as raw records, which are mapped into memory",
            ("data/mine",),
            lambda _: None,
            _run_raw,
        ),
    }


def _check_name(words: Sequence[str], names: Iterable[str]) -> None:
    """Refuse an unknown first word, with the one that was probably meant."""
    if words and not words[0].startswith("-") and words[0] not in names:
        raise ConfigError(f"NAME: there is no {words[0]!r}; {did_you_mean(words[0], names)}")


def _parser(commands: Mapping[str, _Command]) -> argparse.ArgumentParser:
    every = [f"{name} {command.examples[0]}" for name, command in commands.items()]
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Build a data set into a directory that does not exist yet, or rewrite one.",
        epilog=f"{_examples(every)}\n{EXIT_CODES}",
        formatter_class=text,
    )
    names = parser.add_subparsers(metavar="NAME", required=True)
    for name, command in commands.items():
        subparser = names.add_parser(
            name,
            help=command.what,
            description=f"{command.what}.",
            epilog=_examples([f"{name} {example}" for example in command.examples]),
            formatter_class=text,
        )
        subparser.add_argument("directory", metavar="DIR", type=Path, help="the data set")
        command.add_options(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def _examples(commands: Iterable[str]) -> str:
    return "\n".join(["examples:", *(f"  {PROGRAM} {command}" for command in commands), ""])


def _source_command(source: Source) -> _Command:
    heads = _listing((head.name, head.num_classes) for head in source.heads)
    where = f"data/{source.name}"
    return _Command(
        f"Build {source.name}, without a network, with the heads {heads}",
        (where, f"{where} --train 600 --test 100", f"{where} --seed 1"),
        _add_source_options,
        partial(_run_source, source),
    )


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train", type=int, metavar="N", help="training images (default: all)")
    parser.add_argument("--test", type=int, metavar="N", help="test images (default: all)")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="S",
        default=0,
        help="the same seed, the same bytes (default: 0)",
    )


def _run_source(source: Source, options: argparse.Namespace) -> Iterator[str]:
    train = source.train_samples if options.train is None else options.train
    test = source.test_samples if options.test is None else options.test
    for flag, value, smallest in (
        ("--train", train, 1),
        ("--test", test, 1),
        ("--seed", options.seed, 0),
    ):
        _check_at_least(flag, value, smallest)
    source.build(options.directory, train=train, test=test, seed=options.seed)
    yield _summary(options.directory)


def _check_at_least(flag: str, value: int, smallest: int) -> None:
    if value < smallest:
        raise ConfigError(f"{flag}: found {value}; write a whole number from {smallest} up")


def _add_cifar100_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--archive",
        type=Path,
        metavar="FILE",
        help="cifar-100-python.tar.gz, or what was unpacked from it (default: download it)",
    )


def _run_cifar100(options: argparse.Namespace) -> Iterator[str]:
    build_cifar100(options.directory, options.archive)
    yield _summary(options.directory)


def _add_array_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        type=Path,
        metavar="NPY",
        required=True,
        help="uint8, (n, H, W), (n, H, W, C) or (n, C, H, W)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        required=True,
        help="a row of head names, then a row per image; numbers from 0 to 255, or text",
    )
    test = parser.add_mutually_exclusive_group()
    test.add_argument("--test-images", type=Path, metavar="NPY", help="the same of the test batch")
    test.add_argument(
        "--test-fraction",
        type=float,
        metavar="F",
        default=0.1,
        help="or else the share of the images that becomes the test batch (default: 0.1)",
    )
    parser.add_argument("--test-labels", type=Path, metavar="CSV", help="the test images' labels")
    parser.add_argument(
        "--seed", type=int, metavar="S", default=0, help="which images those are (default: 0)"
    )
    parser.add_argument(
        "--layout", choices=("HWC", "CHW"), help="the axes of an image, where both could be meant"
    )
    parser.add_argument(
        "--scale",
        action="append",
        default=[],
        metavar="HEAD=SCALE",
        help="linear or log, say, for a head whose values are ordered (default: categorical)",
    )


def _run_from_arrays(options: argparse.Namespace) -> Iterator[str]:
    if not 0 <= options.test_fraction < 1:
        raise ConfigError(
            f"--test-fraction: found {options.test_fraction}; write a share from 0 up, below 1"
        )
    _check_at_least("--seed", options.seed, 0)
    build_from_arrays(
        options.directory,
        ArrayFiles(options.images, options.labels),
        _test_files(options),
        test_fraction=options.test_fraction,
        seed=options.seed,
        layout=options.layout,
        scales=_scales(options.scale),
    )
    yield _summary(options.directory)


def _test_files(options: argparse.Namespace) -> ArrayFiles | None:
    files = options.test_images, options.test_labels
    if files == (None, None):
        return None
    if None in files:
        raise ConfigError("--test-images, --test-labels: found one of them; write both, or neither")
    return ArrayFiles(*files)


def _scales(texts: Sequence[str]) -> dict[str, str]:
    scales = dict(map(_scale, texts))
    if len(scales) < len(texts):
        raise ConfigError(f"--scale: found {', '.join(texts)}; write each head once")
    return scales


def _scale(text: str) -> tuple[str, str]:
    head, _, scale = text.partition("=")
    if not head or not scale:
        raise ConfigError(f"--scale: found {text!r}; write HEAD=SCALE, such as age=linear")
    return head, scale


def _run_raw(options: argparse.Namespace) -> Iterator[str]:
    for batch in rewrite_as_raw(options.directory):
        if batch.samples:
            kept = batch.path.with_suffix(KEPT_SUFFIX).name
            yield f"{batch.path}: {batch.samples} images; the pickle is kept as {kept}"
        else:
            yield f"{batch.path}: is raw already; nothing was changed"


def _summary(directory: Path) -> str:
    header = read_header(directory)
    heads = _listing((p.name, p.maximum - p.minimum + 1) for p in header.parameters)
    return (
        f"{directory}: {header.train_samples} training and {header.test_samples} test images, "
        f"{header.height}x{header.width}x{header.channels}; heads {heads}"
    )


def _listing(heads: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} ({num_classes})" for name, num_classes in heads)


if __name__ == "__main__":
    # Stopped either way, what was begun is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
