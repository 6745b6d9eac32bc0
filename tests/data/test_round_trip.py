"""Whatever the format can say is read as it was written, and stays the same in any other form."""

import json
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mhray.data.batches import fingerprint, open_split
from mhray.data.dataset import CIFAR100MHDataset
from mhray.data.header import HEADER_NAME
from mhray.data.writing import write_dataset

layouts = st.sampled_from(["CHW", "HWC"])


@dataclass(frozen=True)
class Written:
    """What a program wants to say: images ``(n, H, W, C)``, and per id a range and ``n`` values."""

    images: np.ndarray
    ids: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]
    values: np.ndarray
    orders: np.ndarray

    def records(self):
        """Label records whose pairs have an order of their own in each sample."""
        pairs = np.stack([np.broadcast_to(self.ids, self.values.shape), self.values], axis=2)
        shuffled = np.take_along_axis(pairs, self.orders[:, :, None], axis=1)
        rows = shuffled.reshape(len(self.values), -1)
        return np.insert(rows, 0, len(self.ids), axis=1).astype(np.uint8)

    def header(self, layout):
        """Names for the first 128 ids only: the others are called by their numbers."""
        names = [f"head-{parameter}" for parameter in range(128)]
        known = dict(enumerate(names))
        mappings = {
            known.get(parameter, f"param_{parameter}"): {"min": low, "max": high}
            for parameter, (low, high) in zip(self.ids, self.ranges, strict=True)
        }
        size = "x".join(map(str, self.images.shape[1:]))
        fields = {"format": "CIFAR-100-MH", "image_size": size, "image_layout": layout}
        return fields | {"parameter_names": names, "parameter_mappings": mappings}

    def write(self, directory, layout, form):
        """Write it with NumPy, pickle and json alone."""
        axes = (0, 1, 2, 3) if layout == "HWC" else (0, 3, 1, 2)
        pixels = self.images.transpose(axes).reshape(len(self.images), -1)
        suffix, encode = FORMS[form]
        (directory / f"train_batch{suffix}").write_bytes(encode(pixels, self.records()))
        (directory / HEADER_NAME).write_text(json.dumps(self.header(layout)))


FORMS = {
    "raw": (".bin", lambda x, y: np.hstack([y, x]).tobytes()),
    "arrays": ("", lambda x, y: pickle.dumps({"data": x, "labels": y})),
    "lists": ("", lambda x, y: pickle.dumps({b"data": x.tolist(), b"labels": y.tolist()}, 2)),
}


@st.composite
def data_sets(draw):
    """1 to 255 heads of any distinct ids and any ranges, on images of up to 64x64x4."""
    height, width, channels = (draw(st.integers(1, side)) for side in (64, 64, 4))
    heads, samples = draw(st.integers(1, 255)), draw(st.integers(1, 3))
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    ranges = np.sort(source.integers(256, size=(heads, 2)), axis=1)
    values = source.integers(ranges[:, 0], ranges[:, 1] + 1, (samples, heads))
    return Written(
        source.integers(256, size=(samples, height, width, channels), dtype=np.uint8),
        tuple(source.permutation(256)[:heads].tolist()),
        tuple(map(tuple, ranges.tolist())),
        values,
        np.argsort(source.random((samples, heads)), axis=1),
    )


@settings(max_examples=40)
@given(data_sets(), layouts, st.sampled_from(sorted(FORMS)))
def test_what_another_program_writes_is_read_as_it_is_meant(written, layout, form):
    with tempfile.TemporaryDirectory() as place:
        written.write(Path(place), layout, form)
        data = CIFAR100MHDataset(place)
        by_id = np.argsort(written.ids)
        lows, highs = np.array(written.ranges)[by_id].T
        assert list(data.get_heads_config().values()) == (highs - lows + 1).tolist()
        np.testing.assert_array_equal(data.targets + lows, written.values[:, by_id])
        np.testing.assert_array_equal(data.images.transpose(0, 2, 3, 1), written.images)


@settings(max_examples=20)
@given(data_sets(), layouts, st.sampled_from(sorted(FORMS)), st.booleans())
def test_what_is_read_stays_the_same_in_any_other_form(written, layout, form, is_raw):
    with tempfile.TemporaryDirectory() as place:
        first, second, third = (Path(place) / name for name in ("first", "second", "third"))
        first.mkdir()
        written.write(first, layout, form)
        for old, new, raw in ((first, second, is_raw), (second, third, not is_raw)):
            header, _, split = open_split(old, "train_batch")
            write_dataset(new, header, split, split, raw=raw)
        assert fingerprint(second) == fingerprint(third)
        for name in ("train_batch", "test_batch"):
            np.testing.assert_array_equal(
                open_split(third, name)[2].images.transpose(0, 2, 3, 1), written.images
            )
