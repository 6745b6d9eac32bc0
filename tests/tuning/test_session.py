"""What a start does before any trial runs, on real configs, data and a real journal."""

import os
from dataclasses import replace

import pytest

from mhray.errors import ConfigError, StorageError, StudyConflictError
from mhray.tuning.journal import Journal
from mhray.tuning.plan import check
from mhray.tuning.samplers import sampler_of
from mhray.tuning.session import Wishes, _begin, _open, rebuild
from mhray.tuning.study_file import read_study
from mhray.tuning.trial_overrides import overrides_of

STUDY = """name: options
base: {experiment: cifar100mh_cnn, data.data_dir: %s}
search:
  model:
    one_of:
      cifar100mh_cnn: {}
      cifar100mh_vit:
        model.net.patch_size: {choice: [8, %d]}
scheduler: {asha: {within: model}}
"""


@pytest.fixture
def checked(small_data, tmp_path, monkeypatch):
    """A study of two networks that nothing is wrong with, if 16 is the patch size."""
    monkeypatch.chdir(tmp_path)

    def made(patch_size):
        path = tmp_path / "study.yaml"
        path.write_text(STUDY % (small_data, patch_size), encoding="utf-8")
        return check(read_study(path), None)

    return made


def test_a_value_that_the_images_do_not_fit_is_found_in_any_option(checked):
    with pytest.raises(ConfigError) as caught:
        checked(patch_size=32)
    [_, problem] = str(caught.value).splitlines()
    label = "search.model.one_of.cifar100mh_vit.model.net.patch_size.choice[1]"
    assert f"study.yaml:8: {label}: model.net.patch_size: 32, but the images are" in problem


def test_a_study_starts_with_the_baseline_of_each_option_and_goes_on_with_none(checked):
    study = checked(patch_size=16)
    study.directory.mkdir(parents=True)
    drawn = []
    for _ in range(3):
        journal = Journal.open(study.study, study.directory)
        _begin(study, journal)
        trial = journal.ask(sampler_of(study.study, len(drawn)))
        drawn.append(overrides_of(study.study, trial)[2:])
    vit = ["model=cifar100mh_vit", "model.net.patch_size=8"]
    assert drawn[:2] == [["model=cifar100mh_cnn"], vit]
    assert [trial.number for trial in journal.orphans()] == [0, 1, 2]


@pytest.fixture
def opened(checked):
    """Opens a study as a start does; gives the budget that counts and what has to be said."""

    def open_it(study=None, **wishes):
        with _open(study or checked(patch_size=16), Wishes(**wishes)) as opened:
            return opened.checked.study.budget.trials, opened.lines

    return open_it


def test_an_extension_is_kept_by_later_starts_and_said(opened):
    assert opened() == (24, ())
    line = "budget: 29 trials count, the last 5 by --extend; the file says 24"
    for wishes in ({"extends_by": 5}, {}, {"extends_by": 5}):
        assert opened(**wishes) == (29, (line,))


def test_a_change_goes_on_once_it_is_accepted(opened, checked):
    opened()
    changed = checked(patch_size=16)
    asha = changed.study.scheduler.model_copy(
        update={"asha": changed.study.scheduler.asha.model_copy(update={"keep_one_in": 4})}
    )
    changed = replace(changed, study=changed.study.model_copy(update={"scheduler": asha}))
    with pytest.raises(StudyConflictError, match=r"add --accept-changes to go on with it"):
        opened(changed)
    line = "scheduler.asha.keep_one_in: 3 -> 4 (other scheduler)"
    assert opened(changed, accepts_changes=True) == (24, (f"changed: {line}",))
    assert opened(changed) == (24, ())


def test_a_fresh_start_says_what_it_kept_and_forgets_the_extension(opened, capfd, tmp_path):
    opened(extends_by=5)
    capfd.readouterr()
    assert opened(starts_anew=True) == (24, ())
    [kept] = [path.name for path in (tmp_path / "studies").iterdir() if path.name != "options"]
    assert capfd.readouterr() == (f"kept: what was options is {kept} now\n", "")


def test_a_journal_on_a_server_is_held_while_its_study_runs(checked, tmp_path):
    study = checked(patch_size=16)
    url = f"sqlite:///{tmp_path}/shared.db"
    shared = replace(study, study=study.study.model_copy(update={"journal": url}))
    elsewhere = replace(shared, directory=tmp_path / "elsewhere" / "options")
    with _open(shared, Wishes()):
        for wishes in (Wishes(), Wishes(starts_anew=True)):
            with pytest.raises(StudyConflictError, match="another sweep runs"):
                _open(elsewhere, wishes).__enter__()
    with _open(elsewhere, Wishes()) as opened:
        assert opened.journal.holder()["process"] == os.getpid()


def test_a_study_that_never_ran_cannot_be_rebuilt(checked, tmp_path):
    study = checked(patch_size=16)
    message = r"journal: it holds no trial of options; run the study first, or write the name of"
    with pytest.raises(StorageError, match=message):
        rebuild(study)
