"""Our batch loader against the usual per-sample torchvision path, on one core.

Both sides make batches of 64 augmented, normalised float images from the same 32x32x3 images, in
turns within one run, and each goes first in every second turn. A ratio is ours : theirs in images
per second, the median over the turns; its spread is the range of the paired ratios.
"""

import argparse
import json
import time
from statistics import median

import joblib
import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision import transforms

from mhray.data.augment import augmentation_of
from mhray.data.dataset import MultiheadDatasetBase
from mhray.data.loader import BatchLoader, Normalisation, Shuffled
from mhray.heads import Head
from mhray.training.origin import commit

MEAN, STD = (0.5, 0.45, 0.4), (0.25, 0.25, 0.3)
IMAGES, BATCH = 20_000, 64
HEADS = (Head("left", 10), Head("right", 10), Head("sum", 19))
AUGMENTS = {
    "crop_flip": {"crop": 4, "flip": True},
    "crop_flip_rotate": {"crop": 4, "flip": True, "rotate": 15},
}


class RandomImages(MultiheadDatasetBase):
    def _parse_labels(self, raw_labels):
        return raw_labels

    def _get_sample_metadata(self, idx):
        return {"sample": idx}


def random_data():
    draw = np.random.default_rng(0)
    images = draw.integers(256, size=(IMAGES, 3, 32, 32), dtype=np.uint8)
    targets = np.stack([draw.integers(head.num_classes, size=IMAGES) for head in HEADS], axis=1)
    return RandomImages(images, targets, HEADS)


def ours(data, augment):
    steps = augmentation_of(augment, data.get_image_shape())
    rows = np.arange(len(data))
    return BatchLoader(
        data, rows, BATCH, Normalisation(MEAN, STD), sampler=Shuffled(0), steps=steps
    )


def theirs(data, augment):
    rotate = [transforms.RandomRotation(augment["rotate"])] if "rotate" in augment else []
    steps = [
        transforms.RandomCrop(32, padding=augment["crop"]),
        transforms.RandomHorizontalFlip(),
        *rotate,
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    per_sample = data.with_transform(transforms.Compose(steps))
    return DataLoader(per_sample, BATCH, shuffle=True)


def images_per_second(loader, seconds):
    """Counted from the first batch on, so that shuffling and start-up cost neither side."""
    batches = iter(loader)
    next(batches)
    images, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)
        else:
            images += len(batch[0])
    return images / spent


def measure(data, augment, turns, seconds):
    sides = ours(data, augment), theirs(data, augment)
    pairs = []
    for turn in range(turns):
        step = -1 if turn % 2 else 1
        pairs.append([images_per_second(side, seconds) for side in sides[::step]][::step])
    ratios = [mine / usual for mine, usual in pairs]
    middles = (median(side) for side in zip(*pairs, strict=True))
    return *middles, median(ratios), min(ratios), max(ratios)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40, help="of measuring (default: 40)")
    parser.add_argument("--turns", type=int, default=9, help="turns of both sides (default: 9)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = random_data()
    seconds = options.seconds / (options.turns * 2 * len(AUGMENTS))
    found = {}
    print(f"{'':18}{'ours':>10}{'theirs':>10}  images/s    ratio (range)")
    for name, augment in AUGMENTS.items():
        mine, usual, ratio, low, high = measure(data, augment, options.turns, seconds)
        print(f"{name:18}{mine:10.0f}{usual:10.0f}{'':12}{ratio:5.1f} ({low:.1f} to {high:.1f})")
        found |= {name: round(ratio, 2), f"{name}_spread": round(high - low, 2)}
    print(json.dumps({**found, "commit": commit(), "cores": joblib.cpu_count()}))


if __name__ == "__main__":
    main()
