import math
from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, mean_absolute_error

from mhray.errors import ConfigError
from mhray.models.metric_names import refuse_shared_names
from mhray.models.tally import EpochMetrics, Tally

HEADS = ["left", "sum"]
CLASSES = 5
batch = st.tuples(
    st.integers(1, 9), st.lists(st.floats(0, 8, width=16), min_size=2, max_size=2), st.floats(0, 1)
)


# Pairs of a predicted and a true class, batch by batch.
pairs = st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1))
predictions = st.lists(st.lists(pairs, min_size=1, max_size=6), min_size=1, max_size=4)


def logits_of(classes: list[int]) -> torch.Tensor:
    """Logits of which these classes are the largest."""
    return torch.nn.functional.one_hot(torch.tensor(classes), CLASSES).float()


def add(tally: Tally, size: int, losses: list[float], right: float) -> None:
    """One batch of `size`: `right` is the share of head left's right predictions; sum's all are."""
    losses = torch.tensor(losses)
    wrong = size - round(right * size)
    targets = torch.tensor([1] * wrong + [0] * (size - wrong))
    logits = {"left": logits_of([0] * size), "sum": logits_of(targets.tolist())}
    tally.add(losses.sum(), losses, logits, dict.fromkeys(HEADS, targets))


def add_pairs(tally: Tally, batch: list[tuple[int, int]]) -> None:
    """One batch of which every head has the same predictions and targets."""
    predicted, true = zip(*batch, strict=True)
    logits, targets = logits_of(list(predicted)), torch.tensor(true)
    tally.add(torch.ones(()), torch.ones(2), *(dict.fromkeys(HEADS, x) for x in (logits, targets)))


@given(st.lists(batch, min_size=1, max_size=5))
def test_means_are_over_samples_and_not_over_batches(batches):
    tally = Tally(HEADS, torch.device("cpu"))
    for each in batches:
        add(tally, *each)
    metrics = tally.metrics(lambda sums: sums)
    samples = sum(size for size, _, _ in batches)
    left_loss = sum(size * losses[0] for size, losses, _ in batches) / samples
    right = sum(round(share * size) for size, _, share in batches)
    assert metrics.head_losses["left"] == pytest.approx(left_loss, abs=1e-4)
    assert metrics.head_accs == {"left": right / samples, "sum": 1.0}
    assert metrics.loss == pytest.approx(sum(metrics.head_losses.values()), abs=1e-4)
    assert metrics.acc_spread == pytest.approx(1.0 - right / samples)


losses = st.floats(0, 1e3)


@given(losses, losses)
def test_the_ratio_of_two_losses_is_finite_and_that_of_the_swapped_is_its_inverse(left, right):
    ratio = EpochMetrics(1.0, {"left": left, "right": right}, {}).loss_ratio
    assert 0 < ratio < math.inf
    swapped = EpochMetrics(1.0, {"right": right, "left": left}, {}).loss_ratio
    assert ratio * swapped == pytest.approx(1.0)
    if right > 0.1 and left > 0.1:
        assert ratio == left / right


@pytest.mark.parametrize("heads", [["left"], ["left", "right", "sum"]])
def test_only_two_heads_have_a_ratio_of_losses(heads):
    metrics = EpochMetrics(1.0, dict.fromkeys(heads, 0.5), dict.fromkeys(heads, 0.5))
    assert "val/loss_ratio" not in metrics.named("val")


def test_ranks_are_summed_before_the_division():
    tally = Tally(HEADS, torch.device("cpu"))
    add(tally, 4, [1.0, 2.0], 0.5)
    other = torch.tensor([2, 0, 2 * 4.0, 2 * 5.0, 2 * 9.0, 1, 1, 1, 0, 2])
    metrics = tally.metrics(lambda sums: sums + other)
    assert metrics.head_losses == {"left": 2.0, "sum": 3.0}
    assert metrics.head_accs == {"left": pytest.approx(1 / 3), "sum": 1.0}
    assert metrics.loss == 5.0


def test_weights_are_means_over_the_steps_of_all_ranks():
    tally = Tally(HEADS, torch.device("cpu"), trained=["sum"])
    for size, weight in ((4, 0.5), (1, 2.5)):
        add(tally, size, [1.0, 2.0], 0.5)
        tally.add_weights(torch.tensor([weight]))
    assert tally.metrics(lambda sums: 2 * sums).head_weights == {"sum": 1.5}


def test_an_epoch_without_samples_has_no_metrics():
    assert Tally(HEADS, torch.device("cpu")).metrics(lambda sums: sums) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_loss_that_was_not_finite_first_is_named(value):
    tally = Tally(HEADS, torch.device("cpu"))
    add(tally, 4, [1.0, value], 0.5)
    add(tally, 4, [value, value], 0.5)
    assert tally.metrics(lambda sums: sums).diverged == "sum_loss"


def test_a_sum_that_overflows_is_named_when_no_head_is_to_blame():
    tally = Tally(HEADS, torch.device("cpu"))
    logits, targets = dict.fromkeys(HEADS, logits_of([0])), dict.fromkeys(HEADS, torch.tensor([0]))
    tally.add(torch.tensor(math.inf), torch.ones(2), logits, targets)
    assert tally.metrics(lambda sums: sums).diverged == "loss"


# It warns of classes that are only predicted, and of a single one.
@pytest.mark.filterwarnings("ignore::UserWarning:sklearn.metrics._classification")
@given(predictions)
def test_what_is_counted_further_is_what_scikit_learn_counts(batches):
    tally = Tally(HEADS, torch.device("cpu"), ordinal=["left"], skewed={"sum": CLASSES})
    for each in batches:
        add_pairs(tally, each)
    predicted, true = zip(*chain.from_iterable(batches), strict=True)
    metrics = tally.metrics(lambda sums: sums)
    assert metrics.head_accs["sum"] == pytest.approx(accuracy_score(true, predicted))
    assert metrics.head_maes == {"left": pytest.approx(mean_absolute_error(true, predicted))}
    balanced = balanced_accuracy_score(true, predicted)
    assert metrics.head_balanced_accs == {"sum": pytest.approx(balanced)}


@given(predictions, predictions)
def test_what_is_counted_further_is_counted_over_all_ranks(ours, theirs):
    alone, *ranks = (
        Tally(HEADS, torch.device("cpu"), ordinal=HEADS, skewed=dict.fromkeys(HEADS, CLASSES))
        for _ in range(3)
    )
    for tally, batches in zip((alone, *ranks), (ours + theirs, ours, theirs), strict=True):
        for each in batches:
            add_pairs(tally, each)
    sent = []
    ranks[0].metrics(lambda sums: sent.append(sums) or sums)
    assert ranks[1].metrics(sent[0].add) == alone.metrics(lambda sums: sums)


def test_targets_of_one_byte_are_counted_as_any_others():
    tally = Tally(["pitch"], torch.device("cpu"), ordinal=["pitch"], skewed={"pitch": 255})
    logits, targets = torch.zeros(2, 255), torch.tensor([200, 0], dtype=torch.uint8)
    tally.add(torch.ones(()), torch.ones(1), {"pitch": logits}, {"pitch": targets})
    metrics = tally.metrics(lambda sums: sums)
    assert (metrics.head_maes, metrics.head_balanced_accs) == ({"pitch": 100.0}, {"pitch": 0.5})


def test_metrics_are_logged_under_the_heads_names():
    tally = Tally(HEADS, torch.device("cpu"), ordinal=["sum"], skewed={"sum": CLASSES})
    add_pairs(tally, [(0, 0), (0, 0), (0, 3), (1, 1)])
    named = tally.metrics(lambda sums: sums).named("test")
    assert (named["test/sum_mae"], named["test/sum_balanced_acc"]) == (0.75, pytest.approx(2 / 3))
    assert not {"test/left_mae", "test/left_balanced_acc"} & set(named)


def test_two_metrics_of_one_name_are_refused():
    with pytest.raises(ConfigError) as error:
        refuse_shared_names(["x", "x_balanced"], ["x"])
    assert str(error.value) == (
        "data: the heads x and x_balanced would both log x_balanced_acc; rename one of them"
    )


def test_a_head_may_be_called_balanced_while_the_other_is_not_skewed():
    refuse_shared_names(["x", "x_balanced"], ["x_balanced"])


def test_counting_a_batch_waits_for_no_device():
    # Tensors of the meta device have no values: reading one, as waiting for a GPU does, raises.
    with torch.device("meta"):
        tally = Tally(["sum"], torch.device("meta"), ordinal=["sum"], skewed={"sum": CLASSES})
        targets = torch.zeros(4, dtype=torch.long)
        tally.add(torch.ones(()), torch.ones(1), {"sum": torch.ones(4, CLASSES)}, {"sum": targets})
    with pytest.raises(NotImplementedError, match="no data"):
        tally.metrics(lambda sums: sums)
