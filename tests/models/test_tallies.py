import pytest
import torch

from mhray.errors import HeadMismatchError
from mhray.heads import Implication
from mhray.models.predicted_heads import PredictedHeads
from mhray.models.tallies import Tallies

HEADS = {"fine": 4, "coarse": 2}
INFO = {
    "heads_config": HEADS,
    "ordinal_heads": ("coarse", "fine"),
    "skewed_heads": ("coarse",),
    "largest_shares": {"fine": 0.25, "coarse": 0.5},
}
CPU = torch.device("cpu")


def metrics_of(tally):
    """Of four samples, one per fine class, all predicted as the first class."""
    targets = {"fine": torch.arange(4), "coarse": torch.arange(4) // 2}
    logits = {head: torch.eye(n)[[0] * 4] for head, n in HEADS.items()}
    losses = torch.ones(len(tally._heads))
    tally.add(losses.sum(), losses, logits, targets)
    return tally.metrics(lambda sums: sums)


def test_what_an_accuracy_is_held_against_is_counted_in_evaluation_alone():
    implied = {"coarse": (Implication("fine", (0, 0, 1, 1)),)}
    tallies = Tallies.of(INFO, PredictedHeads(HEADS, None, implied))
    evaluated = metrics_of(tallies.of_evaluation(CPU))
    assert evaluated.implied_accs == {("coarse", "fine"): 0.5}
    assert evaluated.chance_accs == {"fine": pytest.approx(0.899519), "coarse": 1.0}


def test_nothing_is_counted_of_a_head_that_is_not_predicted():
    tallies = Tallies.of(INFO, PredictedHeads(HEADS, ["fine"], {}))
    metrics = metrics_of(tallies.of_evaluation(CPU))
    assert set(metrics.head_maes) == set(metrics.chance_accs) == {"fine"}
    assert metrics.head_balanced_accs == {}


@pytest.mark.parametrize("key", ["ordinal_heads", "skewed_heads", "largest_shares"])
def test_a_head_that_the_data_lack_is_refused(key):
    with pytest.raises(HeadMismatchError, match="get_dataset_info: the data has no such head"):
        Tallies.of(INFO | {key: {"fin": 0.5}}, PredictedHeads(HEADS, None, {}))
