"""``cluster.yaml`` against an EC2 that is not there: which machines does Ray ask it for?

moto answers in the place of AWS, and botocore checks each parameter as it always does. No machine
is behind it, so nothing that ssh would bring is seen. It is no part of the environment:
``.venv/bin/pip install boto3 'moto[ec2,iam]'``.
"""

import time
from pathlib import Path

import pytest
import yaml

from tests.cluster.hosts import ROOT

moto = pytest.importorskip("moto", reason="cluster.yaml against an EC2 API: no moto here")
boto3 = pytest.importorskip("boto3", reason="cluster.yaml against an EC2 API: no boto3 here")

from botocore.exceptions import ClientError  # noqa: E402
from moto.ec2.models.instances import InstanceBackend  # noqa: E402
from ray.autoscaler._private.commands import _bootstrap_config  # noqa: E402
from ray.autoscaler._private.util import prepare_config  # noqa: E402

from mhray.tuning.spot import SpotFirst  # noqa: E402

FULL = "InsufficientInstanceCapacity"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """What ``ray up`` makes of the file, in a new account of AWS."""
    account = moto.mock_aws(config={"iam": {"load_aws_managed_policies": True}})
    with pytest.MonkeyPatch.context() as patch, account:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "none")
        # For roles to be known everywhere, twice 15 s.
        patch.setattr(time, "sleep", lambda seconds: None)
        written = yaml.safe_load((ROOT / "cluster.yaml").read_text())
        yield _bootstrap_config(prepare_config(written), no_config_cache=True)


@pytest.fixture
def provider(config):
    return SpotFirst(config["provider"], "mhray")


@pytest.fixture
def no_spot(monkeypatch):
    """EC2 has no spot machines."""
    plain = InstanceBackend.run_instances

    def refuse(backend, *arguments, **options):
        if options["instance_market_options"]:
            error = {"Error": {"Code": FULL, "Message": "none left"}}
            raise ClientError(error, "RunInstances")
        return plain(backend, *arguments, **options)

    monkeypatch.setattr(InstanceBackend, "run_instances", refuse)


def asked_for(provider, config, kind):
    """A machine of a kind, as EC2 then describes it."""
    node = config["available_node_types"][kind]["node_config"]
    [made] = provider.create_node(node, {"ray-node-name": kind}, 1).values()
    return made


def test_strangers_reach_ssh_alone(config):
    [group] = config["available_node_types"]["gpu"]["node_config"]["SecurityGroupIds"]
    rules = boto3.resource("ec2", "us-west-2").SecurityGroup(group).ip_permissions
    open_to_all = [rule for rule in rules if rule["IpRanges"] or rule["Ipv6Ranges"]]
    assert [(rule["FromPort"], rule["ToPort"]) for rule in open_to_all] == [(22, 22)]
    [among_nodes] = [rule for rule in rules if rule not in open_to_all]
    assert [pair["GroupId"] for pair in among_nodes["UserIdGroupPairs"]] == [group]


def test_the_head_may_start_machines_and_its_key_is_its_owners_alone(config):
    arn = config["head_node"]["IamInstanceProfile"]["Arn"]
    [role] = boto3.resource("iam").InstanceProfile(arn.rpartition("/")[2]).roles
    policies = [policy.policy_name for policy in role.attached_policies.all()]
    assert "AmazonEC2FullAccess" in policies
    key = Path(config["auth"]["ssh_private_key"])
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("kind", "machine", "spot", "disk"),
    [
        ("head", "m5.xlarge", None, 200),
        ("gpu", "g5.xlarge", "spot", 150),
    ],
)
def test_machines_are_asked_for_as_written(provider, config, kind, machine, spot, disk):
    made = asked_for(provider, config, kind)
    assert (made.instance_type, made.instance_lifecycle) == (machine, spot)
    assert made.image_id == "ami-0123456789abcdef0"
    [volume] = made.volumes.all()
    assert (volume.size, volume.volume_type) == (disk, "gp3")
    assert made.block_device_mappings[0]["Ebs"]["DeleteOnTermination"]


def test_a_refused_spot_machine_becomes_an_ordinary_one(provider, config, no_spot):
    assert asked_for(provider, config, "gpu").instance_lifecycle is None


def test_what_nodes_have_is_read_off_their_machines(config):
    kinds = config["available_node_types"]
    assert kinds["head"]["resources"] == {"CPU": 0}
    gpu = kinds["gpu"]["resources"]
    assert (gpu["CPU"], gpu["GPU"]) == (4, 1)
