"""``python -m mhray.train``: one run, from Hydra overrides to a trained model.

Hydra's own command line is kept whole (``--cfg job``, ``-m``, ``hydra.run.dir=DIR``), with two
changes: loss weights of heads compose although no config lists heads, and a user's mistake ends
with one message and exit code 2.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mhray.errors import MhrayError, without_password
from mhray.training.chatter import chatter_to
from mhray.training.epoch_row import EpochRow
from mhray.training.loggers import open_loggers
from mhray.training.overrides import as_hydra_override, as_typed
from mhray.training.project import config_directory
from mhray.training.result import RunResult
from mhray.training.resume import earlier_epochs
from mhray.training.run import check_run, evaluate_test, explain
from mhray.training.workers import run


def main() -> None:
    """Run the command line; a user's mistake ends with exit code 2."""
    typed = sys.argv[1:]
    sys.argv[1:] = [as_hydra_override(argument) for argument in typed]
    # Hydra would print a traceback and exit with 1; this has it raise what we explain below.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        _composed_run()
    except (HydraException, OmegaConfBaseException) as error:
        _fail(explain(error, typed))
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}; write hydra.run.dir=DIR that can be written")


@hydra.main(version_base="1.3", config_path=str(config_directory()), config_name="train")
def _composed_run(config: DictConfig) -> None:
    directory = Path(HydraConfig.get().runtime.output_dir)
    overrides = [as_typed(text) for text in HydraConfig.get().overrides.task]
    try:
        OmegaConf.resolve(config)
        with chatter_to(directory / "log.txt") as out:
            _run(config, directory, overrides, out)
    except MhrayError as error:
        # Not in main: Hydra has words of its own for an error that passes through it.
        _fail(str(error))


def _run(config: DictConfig, directory: Path, overrides: list[str], out: TextIO) -> None:
    check_run(config)
    earlier = earlier_epochs(config)
    if config.data.get("source") and not Path(config.data.data_dir).exists():
        print(f"building {config.data.source} in {config.data.data_dir}", file=out)
    with open_loggers(config, directory) as loggers:
        for epoch, metrics in earlier:
            loggers.log(metrics, epoch)

        def tell(row: EpochRow) -> None:
            shown = _shown(row.metrics, ("acc", config.select.metric))
            print(f"epoch {row.epoch}: {shown} ({row.seconds:.1f} s)", file=out)
            loggers.log(row.logged, row.epoch)

        result = run(config, directory, report=tell, overrides=overrides)
        print(f"best epoch {result.epoch}: {_shown(result.metrics)}", file=out)
        if config.test:
            tested = evaluate_test(config, Path(result.checkpoint))
            replace(result, metrics=result.metrics | tested).write(directory)
            print(f"test: {_shown(tested)}", file=out)
            loggers.log(tested, result.epoch)
    print(f"cost: {_cost(result)}", file=out)
    print(f"result: {directory / 'result.json'}\ncheckpoint: {result.checkpoint}", file=out)


def _shown(metrics: dict[str, float], endings: tuple[str, ...] = ("",)) -> str:
    """The metrics with one of these endings that are of validation or test, on one line."""
    return "  ".join(
        f"{name} {value:.4f}"
        for name, value in sorted(metrics.items())
        if name.endswith(endings) and not name.startswith(("train/", "model/"))
    )


def _cost(result: RunResult) -> str:
    parameters, mflop = (
        result.metrics[f"model/{name}"] for name in ("parameters", "mflop_per_image")
    )
    pace = result.images_per_second
    return f"{parameters:.0f} parameters, {mflop:.2f} MFLOP per image, {pace:.0f} images/s"


def _fail(message: str) -> None:
    print(f"error: {without_password(message)}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
