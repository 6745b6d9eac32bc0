"""``python -m mhray.sweep``: one study, started, resumed, or only checked."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import mhray
from mhray.errors import (
    ConfigError,
    FullDiskError,
    RayLostError,
    ends_in_words,
    without_password,
)
from mhray.training.project import as_shipped, shipped_directory
from mhray.tuning.console import console_on
from mhray.tuning.plan import check, print_plan
from mhray.tuning.stopping import FROM_A_MACHINE, ended_in_time, handled
from mhray.tuning.study_file import read_study

EXAMPLES = """\
examples:
  python -m mhray.sweep configs/sweep_weights.yaml
      run the study; run it again to resume it
  python -m mhray.sweep configs/sweep_weights.yaml --check
      find everything that is wrong with it, show what would run, start nothing
  python -m mhray.sweep configs/sweep_weights.yaml --quote
      the same, and time each of its networks for a few seconds to say how long it will take
  python -m mhray.sweep configs/sweep_weights.yaml budget.trials=3 base.trainer.max_epochs=2
      the same with other values
  python -m mhray.sweep configs/sweep_weights.yaml --extend 12
      twelve trials more than the study has now
  python -m mhray.sweep configs/sweep_weights.yaml --accept-changes
      go on although its search, sampler, scheduler or resources have changed, where that can be
  python -m mhray.sweep configs/sweep_weights.yaml --fresh
      begin anew; the old study is kept under a name with the date
  python -m mhray.sweep configs/sweep_weights.yaml --rebuild-mlflow
      write what the journal holds into MLflow, run nothing

exit codes:
  0  the study is complete; single trials may have failed, and a line names them
  2  something is wrong with the study, its data or its storage; the message says what to write
  3  stopped, by a signal, a full disk or a Ray that died; the same command resumes it
  4  every trial has ended and none is complete, or too many failed for the same reason
"""


@ends_in_words
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_intermixed_args(arguments)
    try:
        with (
            os.fdopen(os.dup(2), "w", encoding="utf-8") as terminal,
            ended_in_time(lambda: _end_now(options, terminal)),
            handled(FROM_A_MACHINE, signal.default_int_handler),
        ):
            return _run(options)
    except (FullDiskError, RayLostError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _stopped(options)
    except KeyboardInterrupt:
        return _stopped(options)


def _end_now(options: argparse.Namespace, terminal: TextIO) -> None:
    """End wherever the sweep stands, and while what it prints goes to its log."""
    code = _stopped(options, terminal)
    terminal.flush()
    os._exit(code)


def _stopped(options: argparse.Namespace, terminal: TextIO | None = None) -> int:
    print(f"stopped; resume with: {_command(options)}", file=terminal or sys.stderr)
    return 3


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m mhray.sweep",
        description="Search what a study file varies, on this machine or on a Ray cluster.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("file", type=Path, metavar="FILE", help="the study file, a YAML")
    result.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="overrides a value of the study file"
    )
    result.add_argument("--check", action="store_true", help="validate, show what would run")
    result.add_argument(
        "--quote", action="store_true", help="the same, and time its networks for a few seconds"
    )
    starts = result.add_mutually_exclusive_group()
    starts.add_argument(
        "--extend", type=_count, default=0, metavar="N", help="N trials more than it has now"
    )
    starts.add_argument(
        "--fresh", action="store_true", help="begin anew, and keep the old study by another name"
    )
    starts.add_argument(
        "--rebuild-mlflow", action="store_true", help="tell MLflow what the journal holds"
    )
    result.add_argument(
        "--accept-changes", action="store_true", help="go on with what has changed, if it can"
    )
    result.add_argument("--config-dir", type=Path, metavar="DIR", help="your own Hydra groups")
    result.add_argument("--version", action="version", version=f"mhray {mhray.__version__}")
    return result


def _run(options: argparse.Namespace) -> int:
    if options.config_dir is not None and not options.config_dir.is_dir():
        raise ConfigError(f"--config-dir: there is no directory {options.config_dir}")
    file = read_study(as_shipped(options.file), options.overrides, shipped_directory())
    checked = check(file, options.config_dir)
    if options.check or options.quote:
        print_plan(checked, console_on(sys.stdout), times_networks=options.quote)
        return 0
    # Ray and MLflow take seconds to import.
    from mhray.tuning.session import Wishes, rebuild, start  # noqa: PLC0415

    wishes = Wishes(options.extend, options.accept_changes, options.fresh)
    if options.rebuild_mlflow:
        return rebuild(checked, wishes)
    return start(checked, _command(options), wishes)


def _count(text: str) -> int:
    """A whole number from 1; argparse makes a message of the error."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"should be a whole number from 1, not {text}")
    return int(text)


def _command(options: argparse.Namespace) -> str:
    own = ["--config-dir", str(options.config_dir)] if options.config_dir else []
    words = ["python", "-m", "mhray.sweep", str(options.file), *options.overrides, *own]
    # A terminal's lines end up in logs; who resumes knows the password.
    return without_password(shlex.join(words))


if __name__ == "__main__":
    sys.exit(main())
