import io
import pickle
import random
import struct
import tarfile
import urllib.request
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest
from torchvision.datasets import CIFAR100
from torchvision.datasets.utils import calculate_md5

from mhray.data.batches import open_split
from mhray.data.cifar_archive import build_cifar100
from mhray.data.prepare import main
from mhray.errors import DataFormatError, DataNotFoundError, MhrayError, StorageError

WHAT_TO_WRITE = (
    "write the path of cifar-100-python.tar.gz, or of the directory that was unpacked from it"
)


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as the one kind of string that Python 2 had."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, text):
        raw = text.encode("latin1") if isinstance(text, str) else text
        self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_string


def by_python_2(content):
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(content)
    return stream.getvalue().replace(b"numpy._core", b"numpy.core")


def batch(samples, seed):
    draw = np.random.default_rng(seed)
    return {
        b"filenames": [b"image_s_%06d.png" % index for index in range(samples)],
        b"batch_label": b"training batch 1 of 1",
        b"fine_labels": draw.integers(100, size=samples).tolist(),
        b"coarse_labels": draw.integers(20, size=samples).tolist(),
        b"data": draw.integers(256, size=(samples, 3072), dtype=np.uint8),
    }


@pytest.fixture
def members():
    """What the published archive holds, with fewer images."""
    return {
        "meta": {
            b"fine_label_names": [b"fine %d" % index for index in range(100)],
            b"coarse_label_names": [b"coarse %d" % index for index in range(20)],
        },
        "test": batch(4, seed=1),
        "train": batch(12, seed=0),
    }


def packed(path, members, write=by_python_2, prefix="cifar-100-python/"):
    with tarfile.open(path, "w:gz") as tar:
        folder = tarfile.TarInfo(prefix)
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in members.items():
            raw = write(content)
            member = tarfile.TarInfo(f"{prefix}{name}")
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return path


def assert_holds(directory, members):
    for name in ("train", "test"):
        _, heads, split = open_split(directory, f"{name}_batch")
        content = members[name]
        np.testing.assert_array_equal(split.images.reshape(-1, 3072), content[b"data"])
        np.testing.assert_array_equal(split.values[:, 0], content[b"fine_labels"])
        np.testing.assert_array_equal(split.values[:, 1], content[b"coarse_labels"])
        assert [(h.name, h.num_classes, h.scale) for h in heads] == [
            ("fine_label", 100, "categorical"),
            ("coarse_label", 20, "categorical"),
        ]
        assert [heads[0].name_of(7), heads[1].name_of(19)] == ["fine 7", "coarse 19"]


@pytest.mark.parametrize("write", [by_python_2, pickle.dumps])
@pytest.mark.parametrize("prefix", ["cifar-100-python/", "./cifar-100-python/"])
def test_the_archive_becomes_a_data_set(tmp_path, members, write, prefix):
    archive = packed(tmp_path / "a.tar.gz", members | {"file.txt~": {}}, write, prefix)
    build_cifar100(tmp_path / "new", archive)
    assert_holds(tmp_path / "new", members)
    assert sorted(path.suffix for path in (tmp_path / "new").iterdir()) == [".bin", ".bin", ".json"]


def test_the_command_says_on_one_line_what_it_wrote(tmp_path, capsys, members):
    archive, directory = packed(tmp_path / "a.tar.gz", members), tmp_path / "new"
    assert main(["cifar100", str(directory), "--archive", str(archive)]) == 0
    assert capsys.readouterr().out == (
        f"{directory}: 12 training and 4 test images, 32x32x3; "
        "heads fine_label (100), coarse_label (20)\n"
    )


@pytest.mark.parametrize("inside", ["", "cifar-100-python"])
def test_an_unpacked_archive_is_read_too(tmp_path, members, inside):
    folder = tmp_path / "unpacked" / "cifar-100-python"
    folder.mkdir(parents=True)
    for name, content in members.items():
        (folder / name).write_bytes(by_python_2(content))
    build_cifar100(tmp_path / "new", tmp_path / "unpacked" / inside)
    assert_holds(tmp_path / "new", members)


def test_no_name_in_an_archive_becomes_a_path(tmp_path, members):
    outside = packed(tmp_path / "a.tar", members, prefix="cifar-100-python/../../")
    with pytest.raises(DataNotFoundError, match="has no cifar-100-python/train"):
        build_cifar100(tmp_path / "new", outside)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_a_link_is_no_member(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        link = tarfile.TarInfo("cifar-100-python/train")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DataNotFoundError, match="has no cifar-100-python/train"):
        build_cifar100(tmp_path / "new", tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("train", "data", None, f"has no key 'data'; {WHAT_TO_WRITE}"),
        ("train", "data", [[0]], "'data' is a list; expected an array"),
        (
            "test",
            "data",
            np.zeros((4, 3071), np.uint8),
            "'data' is an array of uint8, of shape (4, 3071); expected uint8, (images, 3072)",
        ),
        (
            "test",
            "data",
            np.zeros((4, 3072), np.int16),
            "'data' is an array of int16, of shape (4, 3072); expected uint8, (images, 3072)",
        ),
        ("test", "fine_labels", None, f"has no key 'fine_labels'; {WHAT_TO_WRITE}"),
        ("test", "fine_labels", 7, "'fine_labels' is a int; expected a list"),
        (
            "test",
            "fine_labels",
            [1, 2],
            "'fine_labels' has 2 entries; expected 4, one per image",
        ),
        (
            "test",
            "coarse_labels",
            [0, 19, 20, 0],
            "sample 2: found 20 in 'coarse_labels'; expected 0 to 19",
        ),
        (
            "test",
            "fine_labels",
            [0, 0.5, -1, 0],
            "sample 1: found 0.5 in 'fine_labels'; expected 0 to 99",
        ),
        (
            "meta",
            "coarse_label_names",
            [b"one"],
            "'coarse_label_names' has 1 entries; expected 20, one per class",
        ),
        (
            "meta",
            "fine_label_names",
            [b"name"] * 99 + [7],
            "'fine_label_names' holds 7; expected names",
        ),
    ],
)
def test_what_is_not_cifar_100_is_refused(tmp_path, members, name, key, value, message):
    members[name] = {k: v for k, v in members[name].items() if k != key.encode()}
    members[name] |= {} if value is None else {key: value}
    archive = packed(tmp_path / "a.tar.gz", members)
    with pytest.raises(DataFormatError) as error:
        build_cifar100(tmp_path / "new", archive)
    assert str(error.value) == f"{archive}/cifar-100-python/{name}: {message}"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_a_member_that_is_no_dict_is_refused(tmp_path, members):
    archive = packed(tmp_path / "a.tar.gz", members | {"train": [1]})
    with pytest.raises(DataFormatError) as error:
        build_cifar100(tmp_path / "new", archive)
    assert str(error.value) == f"{archive}/cifar-100-python/train: holds a list; expected a dict"


def test_members_that_are_missing_are_named(tmp_path, members):
    archive = packed(tmp_path / "a.tar.gz", {"train": members["train"]})
    with pytest.raises(DataNotFoundError) as error:
        build_cifar100(tmp_path / "new", archive)
    assert str(error.value) == (
        f"{archive}: has no cifar-100-python/test, cifar-100-python/meta; {WHAT_TO_WRITE}"
    )


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataNotFoundError) as error:
        build_cifar100(tmp_path / "new", tmp_path / "none.tar.gz")
    assert str(error.value) == f"{tmp_path / 'none.tar.gz'}: there is no such file; {WHAT_TO_WRITE}"


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"hello")
    with pytest.raises(DataFormatError) as error:
        build_cifar100(tmp_path / "new", path)
    assert str(error.value) == (
        f"{path}: is not a whole archive (file could not be opened successfully); {WHAT_TO_WRITE}"
    )


def test_a_member_larger_than_any_of_cifar_is_not_read(tmp_path):
    path = tmp_path / "a.tar"
    member = tarfile.TarInfo("cifar-100-python/train")
    member.size = 2**40
    path.write_bytes(member.tobuf())
    with pytest.raises(DataFormatError) as error:
        build_cifar100(tmp_path / "new", path)
    assert str(error.value) == (
        f"{path}: cifar-100-python/train has 1099511627776 bytes; expected 536870912 at most"
    )


def test_no_damage_passes_for_the_archive(tmp_path, members):
    """Every changed byte of the compressed data is noticed, if only by its checksum."""
    content = packed(tmp_path / "a.tar.gz", members).read_bytes()
    draw = random.Random(0)
    path = tmp_path / "damaged.tar.gz"
    for _ in range(40):
        damaged = bytearray(content)
        damaged[draw.randrange(20, len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(
            damaged if draw.random() < 0.7 else content[: draw.randrange(len(content))]
        )
        with pytest.raises(MhrayError, match=r"damaged\.tar\.gz"):
            build_cifar100(tmp_path / "new", path)
    assert not (tmp_path / "new").exists()


def test_a_directory_that_exists_is_refused_before_the_download(tmp_path):
    with pytest.raises(StorageError, match="exists, and is never written over"):
        build_cifar100(tmp_path)


def test_without_a_network_the_message_says_what_to_write(tmp_path, monkeypatch):
    # urllib remembers the proxies of its first call.
    monkeypatch.setattr(urllib.request, "_opener", None)
    for scheme in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    with pytest.raises(StorageError) as error:
        build_cifar100(tmp_path / "new")
    assert str(error.value) == (
        f"{CIFAR100.url}: cannot be downloaded (<urlopen error [Errno 111] Connection refused>); "
        "write --archive FILE, with a cifar-100-python.tar.gz that you have"
    )


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The address of ``tmp_path``, served by HTTP."""
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_download_is_checked_and_read(tmp_path, monkeypatch, members, served):
    archive = packed(tmp_path / "a.tar.gz", members)
    monkeypatch.setattr(CIFAR100, "url", f"{served}/a.tar.gz")
    with pytest.raises(StorageError, match=r"cannot be downloaded \(File not found or corrupted"):
        build_cifar100(tmp_path / "new")
    monkeypatch.setattr(CIFAR100, "tgz_md5", calculate_md5(archive))
    build_cifar100(tmp_path / "new")
    assert_holds(tmp_path / "new", members)


def test_a_label_that_holds_itself_many_times_over_is_not_spelled_out(tmp_path, members):
    bomb = []
    for _ in range(60):
        bomb = [bomb, bomb]
    members["train"][b"fine_labels"][0] = bomb
    archive = packed(tmp_path / "a.tar.gz", members)
    with pytest.raises(DataFormatError, match=r"sample 0: found a list in 'fine_labels'; expected"):
        build_cifar100(tmp_path / "new", archive)
