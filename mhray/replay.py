"""``python -m mhray.replay``: a trial of a study, trained again and compared epoch by epoch."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import mhray
from mhray.errors import ends_in_words
from mhray.training.chatter import chatter_to
from mhray.training.epoch_row import EpochRow

SHOWN = 10  # differences
EXAMPLES = """\
examples:
  python -m mhray.replay studies/loss_weights 17
      train trial 17 again, and say whether every metric of every epoch is what it was
  python -m mhray.replay configs/sweep_weights.yaml 17 --to DIR
      the same, by the study's file; the run's directory is DIR

exit codes:
  0  all metrics are equal, to the last digit
  1  some differ; the lines say which, and what else is not as it was
  2  there is no such study or trial, or it cannot be trained any more
"""


@ends_in_words
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    # MLflow's, Ray's and Optuna's own words would stand between the lines.
    with chatter_to(Path(os.devnull)) as out:
        return _replay(options, out)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m mhray.replay",
        description="Train a trial again from its study's journal, and compare every epoch.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("study", metavar="STUDY", help="a study file, or <storage>/<name>")
    result.add_argument("trial", metavar="TRIAL", type=int, help="its number")
    result.add_argument(
        "--to", type=Path, metavar="DIR", help="of the run; default: replays/TRIAL, in the study's"
    )
    result.add_argument("--version", action="version", version=f"mhray {mhray.__version__}")
    return result


def _replay(options: argparse.Namespace, out: TextIO) -> int:
    # Optuna and Ray take seconds to import.
    from mhray.tuning.naming import journal_of  # noqa: PLC0415
    from mhray.tuning.replaying import replay, trial_of  # noqa: PLC0415

    journal, own = journal_of(options.study)
    record = trial_of(journal, options.trial)

    def tell(row: EpochRow) -> None:
        print(f"epoch {row.epoch} of {len(record.epochs)}", file=out, flush=True)

    directory = options.to or own / "replays" / str(record.number)
    found = replay(journal, record, directory, tell)
    for line in found.unlike[:SHOWN]:
        print(line, file=out)
    if found.is_equal:
        print(f"trial {record.number}: {found.epochs} epochs, every metric is equal", file=out)
        return 0
    if len(found.unlike) > SHOWN:
        print(f"and {len(found.unlike) - SHOWN} more", file=out)
    why = "; ".join(found.differing) or "versions, commit and data are the same: another machine?"
    print(f"trial {record.number}: {len(found.unlike)} values differ; {why}", file=out)
    return 1


if __name__ == "__main__":
    sys.exit(main())
