"""Every YAML of ``configs/`` composes, every study draws, and each says what it is for."""

import re
from functools import partial

import optuna
import pytest
from hydra.utils import instantiate

from mhray.training.mistakes import check_config
from mhray.training.project import shipped_directory
from mhray.training.run import compose_run, read_heads_of, weighting_of
from mhray.tuning.capacity import Capacity
from mhray.tuning.check import check_study
from mhray.tuning.space import draw, format_override, parse_space
from mhray.tuning.study_file import read_study
from mhray.tuning.trial_overrides import samples_of
from mhray.tuning.world import World
from mhray.tuning.yaml_lines import Place, read_yaml

CONFIGS = shipped_directory() / "configs"
SWEEPS = shipped_directory() / "sweeps"
GROUPS = ("data", "experiment", "logger", "model", "paths", "scheduler", "trainer", "weighting")
OPTIONS = [
    (path.parent.name, path) for group in GROUPS for path in sorted(CONFIGS.glob(f"{group}/*"))
]
STUDIES = sorted(CONFIGS.glob("sweep_*.yaml"))
SPACES = sorted((SWEEPS / "model").glob("*.yaml"))
SIZED = sorted(CONFIGS.glob("experiment/cifar100mh_*_*k.yaml"))
FILES = [*sorted(CONFIGS.rglob("*.yaml")), *sorted(SWEEPS.rglob("*.yaml"))]
HEADS = {"fine": 100, "coarse": 20}


def ids(value):
    return value if isinstance(value, str) else value.stem


@pytest.mark.parametrize(("group", "path"), OPTIONS, ids=ids)
def test_every_option_of_a_group_composes(group, path):
    assert compose_run([f"{group}={path.stem}"])


def test_a_weighting_is_chosen_for_the_model():
    chosen = compose_run(["weighting=dwa"]).model.weighting
    assert chosen["_target_"] == "mhray.models.weighting.DWA"


@pytest.mark.parametrize("path", STUDIES, ids=ids)
def test_every_study_is_sound_and_three_of_its_trials_compose(path):
    file = read_study(path, [], shipped_directory())
    study = check_study(
        file,
        World(
            compose=compose_run,
            check=lambda overrides: check_config(compose_run(overrides)),
            read_heads=lambda config: read_heads_of(config)[0],
            make_weighting=weighting_of,
            try_out=lambda config: 0,  # a step of each would take seconds; see the spaces below
            available=Capacity(2, 0, "this machine"),
            free_bytes=lambda directory: float("inf"),
        ),
    )
    for overrides in samples_of(study, 3):
        assert compose_run(overrides)


def built(net, values):
    """A network on 32x32x3 images with heads of 100 and 20, with what a space has drawn for it."""
    made = instantiate(net, **{path.removeprefix("model.net."): v for path, v in values.items()})
    made.configure((3, 32, 32), HEADS)
    return made


def parameters_of(net, values):
    return sum(parameter.numel() for parameter in built(net, values).parameters())


def space_in(path):
    return parse_space(read_yaml(path.read_text(), partial(Place, path.name)).value)


def random_draws(path, trials):
    """What random trials draw from a space, the same at every call."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [draw(space_in(path), study.ask()) for _ in range(trials)]


def corner(path, end):
    """The draw in which every path has the first (0) or the last (-1) of its values."""
    space = space_in(path)
    values = {name: next(iter(each.model_dump().values()))[end] for name, each in space.items()}
    return draw(space, optuna.trial.FixedTrial(values))


@pytest.mark.parametrize("path", SPACES, ids=ids)
def test_a_network_is_built_from_every_draw_of_its_space(path):
    net = compose_run([f"model=cifar100mh_{path.stem}"]).model.net
    for values in random_draws(path, 20):
        assert built(net, values)


@pytest.mark.parametrize("budget", [64_000, 210_000])
@pytest.mark.parametrize("path", SPACES, ids=ids)
def test_every_draw_from_a_space_of_a_model_has_as_many_parameters_as_the_budget(path, budget):
    overrides = [f"model=cifar100mh_{path.stem}", f"model.net.parameter_budget={budget}"]
    net = compose_run(overrides).model.net
    for values in (corner(path, 0), corner(path, -1), *random_draws(path, 1)):
        assert parameters_of(net, values) == pytest.approx(budget, rel=0.1)


def test_the_space_of_the_optimizer_draws_and_composes():
    for values in random_draws(SWEEPS / "optimizer.yaml", 3):
        assert compose_run([format_override(*item) for item in values.items()])


@pytest.mark.parametrize("path", SIZED, ids=ids)
def test_a_name_with_a_size_is_true_within_a_tenth(path):
    size = int(path.stem.rsplit("_")[-1].removesuffix("k")) * 1000
    net = compose_run([f"experiment={path.stem}"]).model.net
    assert parameters_of(net, {}) == pytest.approx(size, rel=0.1)


def test_every_model_has_an_experiment_of_its_name_and_a_space_of_its_family():
    models = {path.stem for path in CONFIGS.glob("model/*")}
    families = {name.split("_")[1] for name in models}
    assert {path.stem for path in CONFIGS.glob("experiment/*")} == models
    assert {path.stem for path in SPACES} == families
    assert {f"cifar100mh_{family}" for family in families} < models


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_every_file_opens_with_a_question_and_the_command_that_answers_it(path):
    comments = [line for line in path.read_text().splitlines() if line.startswith("# ")]
    assert any(line.endswith("?") for line in comments)
    assert any("python -m mhray." in line for line in comments)


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name != "model"], ids=ids)
def test_only_models_set_what_their_network_is_made_of(path):
    assert not re.search(r"^ *net:|model\.net:", path.read_text(), re.MULTILINE)
