"""What ``--check`` shows of a study that nothing is wrong with."""

from io import StringIO
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from mhray.training.project import shipped_directory
from mhray.training.run import compose_run
from mhray.tuning.capacity import Capacity
from mhray.tuning.plan import CheckedStudy, in_full, print_plan
from mhray.tuning.study import Study
from mhray.tuning.study_file import load_study

BASE = {"experiment": "cifar100mh_cnn"}
GRID = {
    "sampler": {"grid": {"seeds": [7, 8]}},
    "search": {"model.optimizer.lr": {"choice": [1e-3, 1e-2]}},
}


@pytest.fixture
def printed():
    """The lines of the plan of a study, of data that are not there yet."""

    def show(make, **sections):
        study = make(base=BASE, **sections)
        out = StringIO()
        base = compose_run(["experiment=cifar100mh_cnn"])
        here = Capacity(2, 0, "here")
        checked = CheckedStudy(study, "", base, (), (), here, Path("x"), None)
        print_plan(checked, Console(file=out, highlight=False, soft_wrap=True))
        return out.getvalue().splitlines()

    return show


@pytest.mark.parametrize("name", ["weights", "architectures", "pbt", "weightings"])
def test_a_study_in_full_is_the_same_study(name):
    shipped = shipped_directory()
    study = load_study(shipped / f"configs/sweep_{name}.yaml", (), shipped).study
    assert Study.model_validate(yaml.safe_load(in_full(study))) == study


def test_a_password_is_not_shown(a_study):
    study = a_study(journal="postgresql://me:secret@host/db")
    assert "journal: postgresql://me:***@host/db" in in_full(study)


def test_three_trials_are_shown_as_the_commands_that_run_them(a_study, printed):
    *_, which, first, second, third = printed(a_study)
    assert which == "three trials that could be drawn:"
    assert len({first, second, third}) == 3
    for line in (first, second, third):
        assert line.startswith(
            "  python -m mhray.train experiment=cifar100mh_cnn model.loss_weights."
        )
        assert line.endswith(" seed=12345")


def test_the_first_trials_of_a_grid_are_shown_with_their_seeds(a_study, printed):
    *_, which, first, second, third = printed(a_study, **GRID)
    assert which == "its first three trials:"
    assert [line.partition("cifar100mh_cnn")[2] for line in (first, second, third)] == [
        " model.optimizer.lr=0.001 seed=7",
        " model.optimizer.lr=0.01 seed=7",
        " model.optimizer.lr=0.001 seed=8",
    ]


def test_no_more_trials_are_shown_than_there_are(a_study, printed):
    assert sum("mhray.train" in line for line in printed(a_study, budget={"trials": 2})) == 2
