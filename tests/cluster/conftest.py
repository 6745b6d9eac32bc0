"""What only tests with several Ray nodes need."""

import json
import time
from pathlib import Path

import pytest

from tests.cluster.hosts import NotAllowedError, network


def pytest_addoption(parser):
    parser.addoption("--figures", help="a file to which tests append what they measured")


def pytest_configure(config):
    # ray 2.60 leaves the processes and sockets of a node that it starts here to the collector.
    config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")
    config.addinivalue_line("markers", "long: not in the short form that .ci/run runs")


@pytest.fixture
def hosts(tmp_path):
    """A switch, to which hosts can be added."""
    try:
        with network(tmp_path) as made:
            yield made
    except NotAllowedError as error:
        pytest.skip(f"network namespaces are not allowed here ({error}); run it as root")


@pytest.fixture
def figures(request):
    """Appends a line to the file of ``--figures``, if there is one."""

    def append(**measured):
        path = request.config.getoption("--figures")
        line = {
            "test": request.node.name,
            "time": time.strftime("%F %T", time.gmtime()),
            **measured,
        }
        if path:
            with Path(path).open("a") as file:
                file.write(f"{json.dumps(line)}\n")

    return append
