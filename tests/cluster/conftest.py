"""What only tests with several Ray nodes need."""


def pytest_configure(config):
    # ray 2.60 leaves the processes and sockets of a node that it starts here to the collector.
    config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")
