"""``python -m mhray.sweep``: one study, started, resumed, or only checked."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import mhray
from mhray.errors import ConfigError, MhrayError
from mhray.training.project import shipped_directory
from mhray.tuning.console import console_on
from mhray.tuning.plan import check, print_plan
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

exit codes:
  0  the study is complete
  2  something is wrong with the study, its data or its storage; the message says what to write
  3  stopped; the same command resumes it
  4  every trial has ended and none is complete
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_intermixed_args(arguments)
    try:
        return _run(options)
    except MhrayError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; resume with: {_command(options)}", file=sys.stderr)
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
    result.add_argument("--config-dir", type=Path, metavar="DIR", help="your own Hydra groups")
    result.add_argument("--version", action="version", version=f"mhray {mhray.__version__}")
    return result


def _run(options: argparse.Namespace) -> int:
    if options.config_dir is not None and not options.config_dir.is_dir():
        raise ConfigError(f"--config-dir: there is no directory {options.config_dir}")
    file = read_study(_find(options.file), options.overrides, shipped_directory())
    checked = check(file, options.config_dir)
    if options.check or options.quote:
        print_plan(checked, console_on(sys.stdout), times_networks=options.quote)
        return 0
    from mhray.tuning.session import start  # noqa: PLC0415  Ray and MLflow take seconds to import

    return start(checked, _command(options))


def _find(path: Path) -> Path:
    """The file as given, or else the shipped one: an installed mhray has no checkout around it."""
    shipped = shipped_directory() / path
    return shipped if not path.exists() and shipped.is_file() else path


def _command(options: argparse.Namespace) -> str:
    own = ["--config-dir", str(options.config_dir)] if options.config_dir else []
    words = ["python", "-m", "mhray.sweep", str(options.file), *options.overrides, *own]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
