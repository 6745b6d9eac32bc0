"""``python -m mhray.predict``: what a registered model says of pictures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mhray.errors import ends_in_words
from mhray.training.answers import NAME, PROBABILITY
from mhray.training.model_arguments import add_model_arguments
from mhray.training.pictures import find_pictures

EXAMPLES = """\
examples:
  python -m mhray.predict models:/cifar100mh@champion photo.png
      what the best model says of one picture
  python -m mhray.predict models:/cifar100mh@champion pictures/ --csv > answers.csv
      the same of all pictures below a folder, as a table with every column

A picture of another shape is cut to the shape of the model's images and resampled.
"""


@ends_in_words
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, or 2 for a user's mistake."""
    options = parser().parse_args(arguments)
    pictures = find_pictures(options.pictures)
    # MLflow takes seconds to import.
    from mhray.training.loading import load_registered  # noqa: PLC0415

    table = load_registered(options.model, options.tracking_uri).answers_to(pictures)
    print(table.to_csv(index=False) if options.csv else _shown(table), end="")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m mhray.predict",
        description="Say what a registered model sees in pictures.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_arguments(result)
    result.add_argument(
        "pictures", nargs="+", type=Path, metavar="PICTURE", help="files, and folders of files"
    )
    result.add_argument("--csv", action="store_true", help="every column, as a CSV file")
    return result


def _shown(table: pd.DataFrame) -> str:
    """A line per picture: of each head the name of the class, and its probability."""
    heads = [name.removesuffix(NAME) for name in table.columns if name.endswith(NAME)]
    shown = pd.DataFrame({"picture": table["picture"]})
    for head in heads:
        probabilities = table[f"{head}{PROBABILITY}"].map("{:.2f}".format)
        shown[head] = table[f"{head}{NAME}"] + " (" + probabilities + ")"
    return f"{shown.to_string(index=False)}\n"


if __name__ == "__main__":
    sys.exit(main())
