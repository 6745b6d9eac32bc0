"""A study that nothing is wrong with, and the plan of what would run.

Neither Ray nor Optuna nor MLflow is imported for it: they take seconds, and start nothing here.
"""

import shutil
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml
from rich.console import Console

from mhray.errors import without_password
from mhray.heads import Head
from mhray.models.trained_heads import predicted_heads
from mhray.training.directory import refuse_links
from mhray.training.mistakes import check_config
from mhray.training.origin import reproduce_line
from mhray.training.ray_address import RunningRay, find_ray
from mhray.training.run import (
    check_heads,
    compose_run,
    read_heads_of,
    try_one_step,
    weighting_of,
)
from mhray.tuning.check import check_study
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.cluster import capacity
from mhray.tuning.grid import seed_of
from mhray.tuning.left_out import variants
from mhray.tuning.page.wording import counted
from mhray.tuning.places import directory_of, refuse_unreachable
from mhray.tuning.quoting import print_quote
from mhray.tuning.study import Study, dump_study
from mhray.tuning.study_file import StudyFile
from mhray.tuning.trial_overrides import fixed_overrides, samples_of
from mhray.tuning.world import World, remembering


def check(file: StudyFile, config_dir: Path | None) -> CheckedStudy:
    """Find everything that is wrong with a study before anything is started or written.

    Raises:
        ConfigError: one message with every problem of the file, each with its line.
        DataError: the data set is missing or malformed.
        StorageError: ``RAY_ADDRESS`` is set and no Ray answers there.
    """
    ray_there = find_ray()
    world = world_here(config_dir, ray_there)
    study = check_study(file, world)
    compose: Any = world.compose
    base = compose(fixed_overrides(study))
    heads = tuple(world.read_heads(base))
    check_heads(base, heads)
    kinds = variants(study, compose, fixed_overrides(study))
    predicted = tuple(predicted_heads(heads, kind.train_heads) for kind in kinds)
    directory = directory_of(study)
    refuse_links(directory)
    refuse_unreachable(study)
    return CheckedStudy(
        study,
        without_password(file.text),
        base,
        heads,
        predicted,
        world.available,
        directory,
        config_dir,
        ray_there,
    )


def world_here(config_dir: Path | None, ray_there: RunningRay | None = None) -> World:
    """The project and the machines as they are, with the user's own groups if there are any.

    Raises:
        StorageError: the Ray that should be there does not answer.
    """
    compose: Any = remembering(lambda overrides: compose_run(overrides, config_dir))
    return World(
        compose=compose,
        check=lambda overrides: check_config(compose(overrides)),
        read_heads=_heads_of,
        make_weighting=weighting_of,
        try_out=_try_out,
        available=capacity(ray_there),
        free_bytes=_free_bytes,
    )


def _heads_of(config: Any) -> tuple[Head, ...]:
    return read_heads_of(config)[0]


def _try_out(config: Any) -> int:
    check_config(config)
    return try_one_step(config, *read_heads_of(config))


def _free_bytes(directory: Path) -> float:
    there = next(path for path in (directory, *directory.parents) if path.is_dir())
    return shutil.disk_usage(there).free


def print_plan(checked: CheckedStudy, console: Console, *, times_networks: bool = False) -> None:
    """What would run: the whole study with every default, how long it takes, and three trials."""
    print_headline(checked, console)
    print_quote(checked, console, times_networks=times_networks)
    console.print("the study, with every default:", markup=False)
    console.print(indent(in_full(checked.study), "  "), markup=False)
    is_grid = checked.study.grid is not None
    which = "its first three trials" if is_grid else "three trials that could be drawn"
    console.print(f"{which}:", markup=False)
    for number, overrides in enumerate(
        samples_of(checked.study, min(3, checked.study.budget.trials))
    ):
        given = seed_of(checked.study, number)
        seed = checked.base.seed if given is None else given
        line = reproduce_line(overrides, seed, checked.config_dir)
        console.print(f"  {line}", markup=False, soft_wrap=True)


def in_full(study: Study) -> str:
    """A study as YAML, with every default and without passwords."""
    text: str = yaml.safe_dump(
        dump_study(study), sort_keys=False, default_flow_style=None, width=110, allow_unicode=True
    )
    return text.rstrip()


def print_headline(checked: CheckedStudy, console: Console) -> None:
    """What the study is, in three lines."""
    study, place = checked.study, checked.available
    heads = ", ".join(f"{head.name} ({head.num_classes} classes)" for head in checked.heads)
    trials = counted(study.budget.trials, "trial")
    console.print(
        f"study {study.name}: {trials}, {checked.parallel_trials} at a time on "
        f"{place.place} ({place.cpus:g} cores, {place.gpus:g} GPUs; {place.ray})",
        markup=False,
    )
    console.print(f"heads: {heads}", markup=False)
    console.print(f"log: {checked.directory / 'log.txt'}", markup=False)
