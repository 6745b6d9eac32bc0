import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mhray.data.dataset import CIFAR100MHDataset, create_cifar100mh_datasets
from mhray.data.header import Header
from mhray.data.overview import bar_of, overview
from mhray.data.records import Split
from mhray.data.writing import write_dataset


def shown(train, test=None, findings=()):
    """The lines of an overview, 80 characters wide."""
    console = Console(width=80)
    with console.capture() as captured:
        console.print(overview(train, test, findings))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_an_overview_is_one_screen(notes):
    sizes = [(notes / name).stat().st_size for name in ("train_batch", "test_batch")]
    lines = shown(*create_cifar100mh_datasets(notes))
    assert lines[:4] == [
        "data set    notes, CIFAR-100-MH 1.0",
        "images      8x6x3 (height x width x channels), read as CHW",
        f"train       50 samples in train_batch (pickle, {sizes[0] / 1000:.1f} kB)",
        f"test        20 samples in test_batch (pickle, {sizes[1] / 1000:.1f} kB)",
    ]
    assert lines[7:10] == [
        "  note      ▇▅█▅  even, categorical, 4 classes, values 40 to 43",
        "            9 to 17 images per class, median 12; rarest F, commonest F#",
        "            MIDI note",
    ]
    assert lines[-1] == "findings    nothing suspicious"


def test_channels_have_mean_and_deviation(notes):
    train = CIFAR100MHDataset(notes)
    pixels = train.images / 255
    mean, std = (" ".join(f"{v:.3f}" for v in f(pixels, axis=(0, 2, 3))) for f in (np.mean, np.std))
    assert shown(train)[4:6] == [f"channels    mean {mean}", f"            std  {std}"]


def test_a_missing_test_batch_has_no_samples(notes):
    assert shown(CIFAR100MHDataset(notes))[3] == "test        none"


def test_findings_are_a_list_that_ends(notes):
    lines = shown(CIFAR100MHDataset(notes), findings=[f"finding {n}" for n in range(40)])
    assert lines[-17:] == [
        "findings    - finding 0",
        *(f"            - finding {n}" for n in range(1, 16)),
        "            - and 24 more",
    ]


def test_raw_records_channels_past_eight_and_equal_classes_are_told(tmp_path):
    images = np.zeros((6, 10, 1, 2), np.uint8)
    values = np.arange(6, dtype=np.uint8).reshape(-1, 1) % 3
    header = Header("", 1, 2, 10, (), ())
    write_dataset(tmp_path / "raw", header, Split(images, (4,), values), raw=True)
    lines = shown(CIFAR100MHDataset(tmp_path / "raw"))
    assert lines[0] == "data set   (no name), CIFAR-100-MH 1.0"
    assert lines[2] == "train      6 samples in train_batch.bin (raw records, 138 bytes)"
    assert lines[4] == f"channels   mean{' 0.000' * 8} and 2 more"
    assert lines[8] == "           2 images in every class"


def test_what_could_steer_a_terminal_is_not_shown(notes, break_header):
    break_header(dataset_name="a\x1b[2J\nb[bold]c")
    assert shown(CIFAR100MHDataset(notes))[0] == r"data set    a\x1b[2J\nb[bold]c, CIFAR-100-MH 1.0"


@pytest.mark.parametrize(
    ("counts", "bar"),
    [
        ([5], "█"),
        ([0, 1, 1000], "·▁█"),
        ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
        ([*[10] * 50, *[0] * 50], "█" * 10 + "·" * 10),
    ],
)
def test_a_bar_is_as_high_as_its_class_is_common(counts, bar):
    assert bar_of(np.array(counts)) == bar


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=256).filter(any))
def test_a_bar_is_short_and_has_one_full_column(counts):
    bar = bar_of(np.array(counts))
    assert len(bar) == min(20, len(counts))
    assert "█" in bar
