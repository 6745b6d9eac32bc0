"""Data reach a node that lacks them: two raylets on this machine, with a cache directory each."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mhray.data.batches import fingerprint
from mhray.errors import DataFormatError
from mhray.training.ray_address import RunningRay
from mhray.training.staging import _chunk, _fetch, _find_or_fetch, data_at_this_node, shared_data

CLUSTER = RunningRay("", "", "")
MAPPED = [".test_batch.mapped", ".train_batch.mapped"]
ELSEWHERE = Path("/a/path/of/the/driver/alone")


@pytest.fixture(scope="module")
def other_node(tmp_path_factory):
    """The id of a node beside the driver's, which has two cores and a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("other")))
        node = cluster.add_node(num_cpus=2)
        ray.init(cluster.address, logging_level="ERROR")
        yield node.node_id
        ray.shutdown()
        cluster.shutdown()


@ray.remote(num_cpus=1)
def found_by(data_dir, source):
    """Where a trial of this node finds the data; as if the driver's directory were not there."""
    if source is None:
        return data_at_this_node(data_dir)
    return _find_or_fetch(ELSEWHERE, source, ray.get(source.contents.remote()))


@ray.remote(num_cpus=1)
def part_of(source, name):
    """How large a file's first part is here, and how often it was asked for.

    The process of the source ends before the part is taken that was asked for first.
    """

    class EndsOnce:
        asked = 0

        def remote(self, name, start):
            self.asked += 1
            found = source.chunk.remote(name, start)
            if self.asked == 1:
                ray.get(found)
                ray.kill(source, no_restart=False)
                ray.get(source.contents.remote())
            return found

    ending = EndsOnce()
    return _chunk(SimpleNamespace(chunk=ending), name, 0).size, ending.asked


def at(node, function):
    return function.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))


def on(node, data_dir, source=None):
    return at(node, found_by).remote(data_dir, source)


def source_of(arrivals):
    return arrivals._source


def is_source(process):
    return process.name().startswith("ray::Source")


def test_the_trials_of_a_node_fetch_once_what_it_lacks(other_node, small_data):
    with shared_data(small_data, CLUSTER) as arrivals:
        places = ray.get([on(other_node, small_data, source_of(arrivals)) for _ in range(4)])
        [arrival] = waited(arrivals)
    [place] = set(places)
    sizes = [(small_data / path.name).stat().st_size for path in shown(place)]
    assert arrival.fetched == sum(sizes)
    assert fingerprint(place) == fingerprint(small_data)
    assert sorted(path.name for path in place.glob(".*.mapped")) == MAPPED


def test_a_node_that_has_the_data_uses_its_own(other_node, foreign, monkeypatch):
    with shared_data(foreign.directory, CLUSTER) as arrivals:
        places = ray.get([on(other_node, foreign.directory) for _ in range(2)])
        [arrival] = waited(arrivals)
    assert places == [foreign.directory] * 2
    assert arrival.fetched == 0


def test_the_node_of_the_driver_is_not_asked(small_data, other_node):
    with shared_data(small_data, CLUSTER) as arrivals:
        assert data_at_this_node(small_data) == small_data
        assert arrivals.new() == []


def test_other_data_at_the_same_path_are_not_used(other_node, fine_coarse, foreign, tmp_path):
    with shared_data(fine_coarse, CLUSTER) as arrivals:
        source = source_of(arrivals)
        contents = ray.get(source.contents.remote())
        assert _find_or_fetch(foreign.directory, source, contents) != foreign.directory
        [arrival] = waited(arrivals)
    assert arrival.fetched == sum(contents.files.values())


def test_the_process_that_hands_out_data_may_be_ended(other_node, foreign, tmp_path):
    data = changed(foreign, tmp_path / "data")
    with shared_data(data, CLUSTER) as arrivals:
        ray.kill(source_of(arrivals), no_restart=False)
        place = ray.get(on(other_node, data, source_of(arrivals)))
        [arrival] = waited(arrivals)
        assert data_at_this_node(data) == data
    assert fingerprint(place) == fingerprint(data)
    assert arrival.fetched > 0


def test_one_that_hangs_holds_up_no_end(other_node, small_data):
    with shared_data(small_data, CLUSTER):
        started = (process for process in psutil.process_iter(["name"]) if is_source(process))
        next(started).suspend()


def test_a_part_that_is_lost_with_that_process_is_asked_for_again(other_node, foreign):
    with shared_data(foreign.directory, CLUSTER) as arrivals:
        part = at(other_node, part_of).remote(source_of(arrivals), "train_batch")
        size, asked = ray.get(part)
    assert size == (foreign.directory / "train_batch").stat().st_size
    assert asked == 2


def test_data_that_were_changed_meanwhile_are_refused(other_node, foreign, tmp_path):
    data = foreign.write(tmp_path / "data")
    with shared_data(data, CLUSTER) as arrivals:
        source = source_of(arrivals)
        contents = ray.get(source.contents.remote())
        other = changed(foreign, tmp_path / "other")
        (other / "test_batch").replace(data / "test_batch")
        with pytest.raises(DataFormatError, match="do not write into the data while a sweep runs"):
            _fetch(source, contents, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def changed(foreign, directory):
    """A directory with these data, but for their test images."""
    pixels = foreign.images["test_batch"] ^ np.uint8(1)
    images = foreign.images | {"test_batch": pixels}
    return type(foreign)(directory, foreign.header, images, foreign.records).write(directory)


def waited(arrivals):
    """The arrivals, once there are any."""
    ray.wait([arrivals._next])
    return arrivals.new()


def shown(directory):
    return [path for path in directory.iterdir() if not path.name.startswith(".")]
