"""``python -m mhray.export``: a registered model as an ONNX file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mhray.errors import ConfigError, ends_in_words
from mhray.training.model_arguments import add_model_arguments

EXAMPLES = """\
example:
  python -m mhray.export models:/cifar100mh@champion champion.onnx
      needs pip install 'mhray[onnx]'

The file takes `images`, uint8 (N, height, width, channels), and gives the probabilities
(N, classes) of each head under its name. The classes' names are in its metadata, `heads`.
"""


@ends_in_words
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 for a user's mistake."""
    options = parser().parse_args(arguments)
    if options.file.suffix != ".onnx":
        raise ConfigError(f"{options.file}: is no name of an ONNX file; write one in .onnx")
    # MLflow takes seconds to import.
    from mhray.training.loading import load_registered  # noqa: PLC0415
    from mhray.training.onnx_export import export_onnx  # noqa: PLC0415

    served = load_registered(options.model, options.tracking_uri).served
    export_onnx(served.spec, served.network, options.file)
    print(f"written: {options.file}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m mhray.export",
        description="Write a registered model as an ONNX file.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_arguments(result)
    result.add_argument("file", type=Path, metavar="FILE", help="the file to write, in .onnx")
    return result


if __name__ == "__main__":
    sys.exit(main())
