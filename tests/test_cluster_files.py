"""The cluster files, read as Ray reads them before it calls a cloud, a machine or an operator."""

import copy
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts import scripts
from ray.scripts.scripts import start

from mhray.training.project import PACKAGE

ROOT = PACKAGE.parent
FILES = [ROOT / "cluster.yaml", ROOT / "cluster" / "local.yaml"]
KUBERAY, SLURM = ROOT / "cluster" / "kuberay.yaml", ROOT / "cluster" / "slurm.sh"


def read(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rays_own_loader_accepts_it(path):
    validate_config(prepare_config(read(path)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_misspelt_key_is_refused(path):
    broken = copy.deepcopy(read(path))
    broken["idle_timeout_minuts"] = 1
    with pytest.raises(Exception, match="idle_timeout_minuts"):
        validate_config(prepare_config(broken))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_part_of_the_package_is_left_behind(path):
    modules = (PACKAGE.rglob("*.py"), (ROOT / "configs").rglob("*.yaml"))
    names = {part for found in modules for file in found for part in file.relative_to(ROOT).parts}
    excluded = {name.removeprefix("**/") for name in read(path)["rsync_exclude"]}
    assert names & excluded == set()


def test_the_nodes_of_a_cloud_are_spot_unless_it_refuses_them():
    config = read(FILES[0])
    assert config["provider"]["module"] == "mhray.tuning.spot.SpotFirst"
    node = config["available_node_types"]["gpu"]["node_config"]
    assert node["InstanceMarketOptions"] == {"MarketType": "spot"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_ray_that_it_starts_asks_for_a_token(path):
    config = read(path)
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    starts = [command for command in commands if "ray start" in command]
    assert len(starts) == 2
    for command in starts:
        assert "RAY_AUTH_MODE=token" in command
        assert_known(re.findall(r"--[a-z-]+", command.partition("ray start")[2]))


def test_kubernetes_is_given_a_cluster_as_ray_reads_it():
    resource = read(KUBERAY)
    resource["metadata"]["namespace"] = "default"  # by the operator
    config = _derive_autoscaling_config_from_ray_cr(resource)
    validate_config(config)
    types = config["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == 0
    assert (types["gpu"]["resources"]["GPU"], types["gpu"]["max_workers"]) == (1, 8)
    assert config["idle_timeout_minutes"] == 10


def test_kubernetes_starts_ray_with_options_that_it_has():
    spec = read(KUBERAY)["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    assert_known([f"--{key}" for group in groups for key in group["rayStartParams"]])


def test_slurm_is_given_a_script_that_bash_and_ray_read():
    subprocess.run(["bash", "-n", SLURM], check=True)
    begun = SLURM.read_text().partition("\n  where=(")[2].partition("code=")[0]
    assert_known(set(re.findall(r"--[a-z-]+(?= )", begun)))
    awaited = re.search(r'grep -c "(.+?)"', SLURM.read_text())[1]
    assert Path(scripts.__file__).read_text().count(f'"{awaited}.') == 2


@pytest.mark.parametrize("path", [*FILES, KUBERAY, SLURM], ids=lambda path: path.name)
def test_what_is_marked_is_explained(path):
    page = (ROOT / "docs" / "cluster.md").read_text()
    marked = [line for line in path.read_text().splitlines() if re.search(r"# CHANGE\b", line)]
    keys = {re.search(r"([A-Za-z_-]+)[:=]", line)[1] for line in marked}
    assert keys
    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []


def assert_known(options):
    known = {name for option in start.params for name in option.opts}
    assert set(options) <= known
