"""An MLflow store that the tests of this folder share, and an experiment for each test."""

import pytest

from mhray.training.tracking import open_tracking


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The URI of a store that exists."""
    directory = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{directory}/mlflow.db"
    open_tracking(uri, "first", directory / "artifacts")
    return uri


@pytest.fixture
def tracking(store, request, tmp_path):
    """An experiment of the test's own."""
    return open_tracking(store, request.node.name, tmp_path / "artifacts")
