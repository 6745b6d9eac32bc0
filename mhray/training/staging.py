"""Data on every node of a cluster: one that lacks them gets them once, for all of its trials.

The driver's node has the data, and an actor beside it hands them out in chunks, through Ray's
object store. The first trial of another node that needs them writes them into the user's cache
directory, under their fingerprint, while the others wait for it; from then on they are a directory
like any other, whose batches all its trials map. Nothing of them travels with a trial.
"""

import asyncio
import fcntl
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from platformdirs import user_cache_path
from ray.exceptions import OwnerDiedError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mhray.data.batches import TEST, TRAIN, batch_path, fingerprint, is_missing
from mhray.data.header import find_header
from mhray.durable import flush, write_durably
from mhray.errors import DataError, DataFormatError, StorageError, WorkerLostError, filling
from mhray.training.ray_address import RunningRay

CHUNK = 8 * 2**20  # bytes
# Nodes that start together ask for the same chunks, and share them while they are kept.
KEPT_CHUNKS = 32
END_SECONDS = 5.0


@dataclass(frozen=True)
class Contents:
    """What there is to hand out.

    Attributes:
        node: Ray's id of the node that has it.
        fingerprint: of the data.
        files: bytes, by name.
    """

    node: str
    fingerprint: str
    files: dict[str, int]


@dataclass(frozen=True)
class Arrival:
    """How a node came to its data.

    Attributes:
        host: its address.
        fetched: bytes; 0 if it had them.
        seconds: that it took, to read what it had or to fetch and read it.
    """

    host: str
    fetched: int
    seconds: float

    def __str__(self) -> str:
        if not self.fetched:
            return f"{self.host} has them ({self.seconds:.1f} s to read)"
        return f"{self.host} fetched {self.fetched / 2**20:.1f} MiB in {self.seconds:.1f} s"


class Arrivals:
    """What the driver hears of nodes that come to their data."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._next: Any = source and source.next_arrivals.remote()

    def new(self) -> list[Arrival]:
        """Those since the last call; does not wait."""
        if self._source is None or not ray.wait([self._next], timeout=0)[0]:
            return []
        arrived: list[Arrival] = ray.get(self._next)
        self._next = self._source.next_arrivals.remote()
        return arrived

    def end(self) -> None:
        """Wait for none any more."""
        ray.cancel(self._next)
        # Not for ever: its process, or Ray itself, may be gone.
        ray.wait([self._next], timeout=END_SECONDS)


@contextmanager
def shared_data(data_dir: Path, ray_there: RunningRay | None) -> Iterator[Arrivals]:
    """Hand out a data directory to the nodes of a cluster; Ray must be connected.

    A Ray that is started here (``None``) has no other node, and what is not built yet each node
    builds.

    Raises:
        RayError: no actor can be started on this node.
    """
    if ray_there is None or not data_dir.is_dir():
        yield Arrivals(None)
        return
    here = ray.get_runtime_context().get_node_id()
    sizes = {path.name: path.stat().st_size for path in _files_of(data_dir)}
    contents = Contents(here, fingerprint(data_dir), sizes)
    actor: Any = ray.remote(Source)
    source = actor.options(
        name=_name_of(data_dir),
        num_cpus=0,
        # Ray's memory monitor may end it in a full machine; without its name, other nodes would
        # take what lies at the path of the data for them.
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
    ).remote(data_dir, contents)
    ray.get(source.contents.remote())
    arrivals = Arrivals(source)
    yield arrivals
    arrivals.end()
    ray.kill(source)


def data_at_this_node(data_dir: Path) -> Path:
    """Where this node has what the driver has in ``data_dir``; fetched, if it lacks it.

    Raises:
        DataFormatError: the driver's data are others than when the sweep began.
        FullDiskError: they do not fit on this node's disk.
        WorkerLostError: the node that hands them out is gone.
    """
    source = _source_of(data_dir)
    if source is None:
        return data_dir
    try:
        contents: Contents = ray.get(source.contents.remote())
        if contents.node == ray.get_runtime_context().get_node_id():
            return data_dir
        return _find_or_fetch(data_dir, source, contents)
    except RayError as error:
        raise WorkerLostError(
            f"data.data_dir: the node that has {data_dir} is gone; start the run again ({error})"
        ) from error


class Source:
    """The actor on the driver's node; its methods are called from all others."""

    def __init__(self, data_dir: Path, contents: Contents) -> None:
        self._data_dir = data_dir
        self._contents = contents
        self._chunks: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._arrivals: asyncio.Queue[Arrival] = asyncio.Queue()

    async def contents(self) -> Contents:
        """What there is."""
        return self._contents

    async def chunk(self, name: str, start: int) -> list[Any]:
        """A reference, in a list lest Ray follow it, to a part of a file as an array of bytes."""
        if (name, start) not in self._chunks:
            count = min(CHUNK, self._contents.files[name] - start)
            part = np.fromfile(self._data_dir / name, np.uint8, count, offset=start)
            self._chunks[name, start] = ray.put(part)
            if len(self._chunks) > KEPT_CHUNKS:
                self._chunks.popitem(last=False)
        return [self._chunks[name, start]]

    async def tell(self, arrival: Arrival) -> None:
        """Have the driver hear of it."""
        await self._arrivals.put(arrival)

    async def next_arrivals(self) -> list[Arrival]:
        """One at least, which may have to be waited for."""
        arrived = [await self._arrivals.get()]
        while not self._arrivals.empty():
            arrived.append(self._arrivals.get_nowait())
        return arrived


def _name_of(data_dir: Path) -> str:
    return f"mhray data {data_dir}"


def _source_of(data_dir: Path) -> Any | None:
    if not ray.is_initialized():
        return None
    try:
        return ray.get_actor(_name_of(data_dir))
    except ValueError:
        return None


def _files_of(data_dir: Path) -> list[Path]:
    """The files that make up the data, without copies of ours and whatever else lies there."""
    names = [name for name in (TRAIN, TEST) if not is_missing(data_dir, name)]
    batches = [batch_path(data_dir, name) for name in names]
    header = find_header(data_dir)
    return [header, *batches] if header else batches


def _find_or_fetch(data_dir: Path, source: Any, contents: Contents) -> Path:
    kept = user_cache_path("mhray") / "data" / contents.fingerprint
    _make_place(kept.parent)
    host: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    began = time.monotonic()
    with _one_at_a_time(kept.with_suffix(".lock")):
        if kept.is_dir():
            return kept
        own = kept.with_suffix(".own")
        if _is_known(own, data_dir):
            return data_dir
        if _has_the_same(data_dir, contents):
            write_durably(own, _state_of(data_dir))
            place, fetched = data_dir, 0
        else:
            _fetch(source, contents, kept)
            place, fetched = kept, sum(contents.files.values())
    source.tell.remote(Arrival(host, fetched, time.monotonic() - began))
    return place


def _make_place(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"data.data_dir: this node has no place for data ({directory}: "
            f"{os.strerror(error.errno or 0)}); set XDG_CACHE_HOME there to one that it can write"
        ) from None


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """The system ends the lock with its process, so that a killed trial leaves none."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_known(own: Path, data_dir: Path) -> bool:
    """Whether a trial of this node has read these very files before, and found the right data."""
    with suppress(OSError, DataError):
        return own.read_text(encoding="utf-8") == _state_of(data_dir)
    return False


def _state_of(data_dir: Path) -> str:
    stats = [(path, path.stat()) for path in _files_of(data_dir)]
    return "\n".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)


def _has_the_same(data_dir: Path, contents: Contents) -> bool:
    with suppress(DataError, StorageError):
        return fingerprint(data_dir) == contents.fingerprint
    return False


def _chunk(source: Any, name: str, start: int) -> Any:
    """A part of a file, as an array of bytes."""
    while True:
        [chunk] = ray.get(source.chunk.remote(name, start))
        # An actor that was started again knows nothing of what its forerunner had ready.
        with suppress(OwnerDiedError):
            return ray.get(chunk)


def _fetch(source: Any, contents: Contents, kept: Path) -> None:
    """Write the data beside their place, read them once, and put them there."""
    draft = kept.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    with filling(draft):
        for name, size in contents.files.items():
            with (draft / name).open("xb") as file:
                for start in range(0, size, CHUNK):
                    file.write(_chunk(source, name, start).data)
            flush(draft / name)
        # Reading a pickle leaves the mapped copy that all trials share.
        found = fingerprint(draft)
    if found != contents.fingerprint:
        raise DataFormatError(
            "data.data_dir: what the driver hands out has another fingerprint than when the sweep "
            "began; do not write into the data while a sweep runs, and start it again"
        )
    draft.replace(kept)
