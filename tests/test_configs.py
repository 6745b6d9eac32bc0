"""Every YAML of ``configs/`` composes, every study draws, and each says what it is for."""

import optuna
import pytest
import yaml

from mhray.training.project import shipped_directory
from mhray.training.run import compose_run, read_heads_of
from mhray.tuning.check import check_study
from mhray.tuning.search import samples_of
from mhray.tuning.space import draw, format_override, parse_space
from mhray.tuning.study_file import read_study

CONFIGS = shipped_directory() / "configs"
GROUPS = ("data", "experiment", "model", "paths", "trainer")
OPTIONS = [
    (path.parent.name, path) for group in GROUPS for path in sorted(CONFIGS.glob(f"{group}/*"))
]
STUDIES = sorted(CONFIGS.glob("sweep_*.yaml"))
SPACES = sorted((shipped_directory() / "sweeps" / "model").glob("*.yaml"))
FILES = [*sorted(CONFIGS.rglob("*.yaml")), *SPACES]


def ids(value):
    return value if isinstance(value, str) else value.stem


@pytest.mark.parametrize(("group", "path"), OPTIONS, ids=ids)
def test_every_option_of_a_group_composes(group, path):
    assert compose_run([f"{group}={path.stem}"])


def test_a_weighting_is_chosen_for_the_model():
    chosen = compose_run(["weighting@model.weighting=fixed"]).model.weighting
    assert chosen["_target_"] == "mhray.models.weighting.FixedWeighting"


@pytest.mark.parametrize("path", STUDIES, ids=ids)
def test_every_study_is_sound_and_three_of_its_trials_compose(path):
    file = read_study(path, [], shipped_directory())
    study = check_study(
        file,
        compose=compose_run,
        read_heads=lambda config: read_heads_of(config)[0],
        available_cpus=2,
        available_gpus=0,
    )
    for overrides in samples_of(study, 3):
        assert compose_run(overrides)


@pytest.mark.parametrize("path", SPACES, ids=ids)
def test_every_space_of_a_model_draws_and_composes(path):
    space = parse_space(yaml.safe_load(path.read_text()))
    drawn = draw(space, optuna.create_study().ask())
    assert compose_run([f"model={path.stem}", *(format_override(*item) for item in drawn.items())])


def test_every_model_has_a_space_of_its_name():
    assert [path.name for path in SPACES] == [path.name for path in sorted(CONFIGS.glob("model/*"))]


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_every_file_opens_with_a_question_and_the_command_that_answers_it(path):
    comments = [line for line in path.read_text().splitlines() if line.startswith("# ")]
    assert any(line.endswith("?") for line in comments)
    assert any("python -m mhray." in line for line in comments)


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name != "model"], ids=ids)
def test_only_models_set_what_their_network_is_made_of(path):
    assert "net:" not in path.read_text()
