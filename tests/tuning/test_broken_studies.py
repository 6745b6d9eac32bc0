"""A corpus of studies with one mistake each, and every word that the check has to say to it.

The first lines of a file say what is reported for it, the others are the study. They are checked
against the real configs and networks, and a machine of 2 cores, 1 GPU and 8 GiB.
"""

from functools import cache
from pathlib import Path

import pytest

from mhray.errors import ConfigError
from mhray.tuning.capacity import Capacity
from mhray.tuning.check import check_study
from mhray.tuning.plan import world_here
from mhray.tuning.study_file import read_study
from mhray.tuning.world import World, remembering

STUDIES = Path(__file__).parents[1] / "broken_studies"
SAYS = "# says: "


@pytest.fixture(scope="module")
def world():
    """Configs and steps that are composed and taken once for all studies."""
    here = world_here(None)
    tried = {}

    def try_out(config):
        key = str(config)
        if key not in tried:
            tried[key] = outcome(here.try_out, config)
        return tried[key]()

    return World(
        compose=remembering(remembering_refusals(here.compose)),
        check=here.check,
        read_heads=here.read_heads,
        make_weighting=here.make_weighting,
        try_out=try_out,
        available=Capacity(2, 1, "a machine", 2**33),
        free_bytes=lambda _: 2**30,
    )


def outcome(action, *arguments):
    """What an action returned or raised, to be had again."""
    try:
        result = action(*arguments)
    except ConfigError as error:
        refused = str(error)

        def again():
            raise ConfigError(refused)

        return again
    return lambda: result


def remembering_refusals(compose):
    outcomes = cache(lambda *overrides: outcome(compose, overrides))
    return lambda overrides: outcomes(*overrides)()


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_mistake_is_told_with_its_line_and_what_to_write(world, path, monkeypatch):
    monkeypatch.chdir(STUDIES)
    lines = path.read_text(encoding="utf-8").splitlines()
    says = [line.removeprefix(SAYS) for line in lines if line.startswith(SAYS)]
    with pytest.raises(ConfigError) as error:
        check_study(read_study(Path(path.name)), world)
    header, *problems = str(error.value).splitlines()
    assert [problem.strip() for problem in problems] == says
    assert header == f"{path.name} has {len(says)} problem{'s' * (len(says) > 1)}:"
