"""``python -m mhray.report``: what a study found, as a page and as Markdown."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import mhray
from mhray.errors import ends_in_words
from mhray.training.chatter import chatter_to

EXAMPLES = """\
examples:
  python -m mhray.report configs/sweep_weights.yaml
      the study of this file: its report is in studies/loss_weights/report
  python -m mhray.report studies/loss_weights
      the same, by the directory of the study
  python -m mhray.report studies/loss_weights --to DIR
      the same, in another directory

exit codes:
  0  the report is written; the line says where
  2  there is no such study, or its journal or the report's directory cannot be used
"""


@ends_in_words
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        print(f"report: {_write(options.study, options.to)}")
    except OSError as error:
        print(
            f"error: {error.filename}: {error.strerror}; write --to DIR that can be written",
            file=sys.stderr,
        )
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m mhray.report",
        description="Write what a study found, from its journal: a page, and Markdown with PNGs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("study", metavar="STUDY", help="a study file, or <storage>/<name>")
    result.add_argument(
        "--to", type=Path, metavar="DIR", help="where to; default: report, in the study's directory"
    )
    result.add_argument("--version", action="version", version=f"mhray {mhray.__version__}")
    return result


def _write(study: str, directory: Path | None) -> Path:
    # Optuna and Matplotlib take seconds to import.
    from mhray.tuning.naming import journal_of  # noqa: PLC0415
    from mhray.tuning.page.material import material_of  # noqa: PLC0415
    from mhray.tuning.page.writing import REPORT, write_report  # noqa: PLC0415

    with chatter_to(Path(os.devnull)):
        journal, own = journal_of(study)
        return write_report(material_of(journal), directory or own / REPORT)


if __name__ == "__main__":
    sys.exit(main())
