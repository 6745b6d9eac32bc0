"""Has the computation of a network changed? Its first 20 losses at seed 0 say so.

Where a change is wanted, write them anew, and say in the commit why they differ:

    python tests/models/test_golden_losses.py

The tolerance is 70 times what the least instruction set (ATEN_CPU_CAPABILITY=default) and kernels
without oneDNN change, so it bears other versions of torch; their random numbers are the same as
long as a network draws them with plain normal_ and uniform_.
"""

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from mhray.models.classifiers import MultiheadNetwork
from mhray.models.cnn import SimpleCNN
from mhray.models.convnext import ConvNeXt
from mhray.models.efficientnet import EfficientNet
from mhray.models.vit import VisionTransformer

GOLDEN = Path(__file__).with_name("golden_losses.json")
NETWORKS = (SimpleCNN, ConvNeXt, EfficientNet, VisionTransformer)
HEADS = {"left": 4, "sum": 7}
STEPS = 20
TOLERANCE = 1e-3


def first_losses(kind: type[MultiheadNetwork]) -> list[float]:
    """The summed losses of the heads on one batch that is seen again and again."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = kind(3, input_size=16, heads_config=HEADS, dropout=0.0)
    images = torch.randn(16, 3, 16, 16)
    targets = {name: torch.randint(classes, (16,)) for name, classes in HEADS.items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        logits = net(images)
        loss = sum(functional.cross_entropy(logits[name], targets[name]) for name in HEADS)
        loss.backward()
        optimizer.step()
        losses.append(round(loss.item(), 6))
    return losses


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_first_losses_are_those_on_record(kind):
    golden = json.loads(GOLDEN.read_text())[kind.__name__]
    assert first_losses(kind) == pytest.approx(golden, rel=TOLERANCE)


def test_the_networks_on_record_learn():
    for losses in json.loads(GOLDEN.read_text()).values():
        assert len(losses) == STEPS
        assert losses[-1] < losses[0] * (1 - 10 * TOLERANCE)


if __name__ == "__main__":
    lines = [f'  "{kind.__name__}": {json.dumps(first_losses(kind))}' for kind in NETWORKS]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
