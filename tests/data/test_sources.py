from concurrent.futures import ThreadPoolExecutor

import pytest

from mhray.data.sources import SOURCES, build_if_missing, source_named
from mhray.data.sources.multimnist import MultiMNIST
from mhray.errors import ConfigError, StorageError


class SmallMultiMNIST(MultiMNIST):
    """A source that takes little time."""

    name = "small"
    train_samples = 60
    test_samples = 20


@pytest.fixture
def small_source(monkeypatch):
    monkeypatch.setitem(SOURCES, "small", SmallMultiMNIST())


def test_sources_are_found_by_name():
    assert source_named("multimnist") is SOURCES["multimnist"]


def test_an_unknown_source_is_refused():
    with pytest.raises(ConfigError) as error:
        source_named("multimist")
    assert str(error.value) == (
        "data.source: unknown source 'multimist'; did you mean multimnist? (one of: multimnist)"
    )


def test_several_processes_may_build_at_once(tmp_path, small_source):
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: build_if_missing(tmp_path / "data", "small"), range(3)))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_place_that_cannot_be_written_is_an_error(tmp_path, small_source):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        build_if_missing(tmp_path / "file" / "data", "small")
