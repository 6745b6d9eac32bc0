"""The cluster files as ``ray up`` reads them before it calls a cloud."""

import copy

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from mhray.training.project import PACKAGE

ROOT = PACKAGE.parent
FILES = [ROOT / "cluster.yaml"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rays_own_loader_accepts_it(path):
    validate_config(prepare_config(yaml.safe_load(path.read_text())))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_misspelt_key_is_refused(path):
    broken = copy.deepcopy(yaml.safe_load(path.read_text()))
    broken["idle_timeout_minuts"] = 1
    with pytest.raises(Exception, match="idle_timeout_minuts"):
        validate_config(prepare_config(broken))
