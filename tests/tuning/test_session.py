"""What a start does before any trial runs, on real configs, data and a real journal."""

import pytest

from mhray.errors import ConfigError
from mhray.tuning.plan import check
from mhray.tuning.samplers import sampler_of
from mhray.tuning.session import _open_journal
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
        trial = _open_journal(study).ask(sampler_of(study.study, len(drawn)))
        drawn.append(overrides_of(study.study, trial)[2:])
    vit = ["model=cifar100mh_vit", "model.net.patch_size=8"]
    assert drawn[:2] == [["model=cifar100mh_cnn"], vit]
    assert [trial.number for trial in _open_journal(study).orphans()] == [0, 1, 2]
