"""Spot machines of AWS, and others where there are none: the provider that ``cluster.yaml`` names.

Ray 2.60 has priorities among kinds of nodes, and lowers that of machines which AWS granted and
which did not come up. One that AWS refuses it asks for again every five seconds, for ever. So the
kind is one, and what is asked for changes at the refusal. Needs ``boto3``.
"""

from collections.abc import Mapping
from typing import Any

from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException
from typing_extensions import override

MARKET = "InstanceMarketOptions"


class SpotFirst(AWSNodeProvider):
    """Ray's provider for AWS, which asks for each refused spot machine once more without spot."""

    @override
    def create_node(
        self, node_config: Mapping[str, Any], tags: Mapping[str, str], count: int
    ) -> Any:
        try:
            return super().create_node(node_config, tags, count)
        except NodeLaunchException:
            if MARKET not in node_config:
                raise
            ordinary = {key: value for key, value in node_config.items() if key != MARKET}
            return super().create_node(ordinary, tags, count)
