from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mhray.errors import ConfigError, HeadMismatchError
from mhray.heads import Head, Implication
from mhray.models.cnn import SimpleCNN
from mhray.models.module import MultiheadLitModule
from mhray.models.predicted_heads import ImpliedHead, PredictedHeads
from mhray.models.trained_heads import predicted_heads, refuse_unpredicted, trained_heads

HEADS = {"coarse": 3, "fine": 5, "other": 2}
BY_FINE = Implication("fine", (0, 0, 1, 1, None))
IMPLIED = {"coarse": (BY_FINE,)}
DATA_HEADS = [Head("coarse", 3, implied_by=("fine",)), Head("fine", 5), Head("other", 2)]


@pytest.mark.parametrize("named", [["fine", "other"], ["other", "fine"], ("fine", "other")])
def test_heads_are_trained_in_the_order_of_the_data(named):
    assert trained_heads(named, HEADS) == ("fine", "other")


@pytest.mark.parametrize(
    ("named", "heads", "expected"),
    [(None, HEADS, tuple(HEADS)), ("fine", HEADS, ("fine",)), (7, ["7", "8"], ("7",))],
)
def test_none_is_all_heads_and_a_name_is_a_list_of_one(named, heads, expected):
    assert trained_heads(named, heads) == expected


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        (
            [],
            (
                "names no head, so nothing would be learned; write null for all of them, or one of "
                "the heads: coarse, fine, other"
            ),
        ),
        (["fine", "fine"], "names fine twice; keep one of the two"),
        ({"fine": 1}, "should be a list of heads, found {'fine': 1}"),
        (
            ["fin"],
            "the data has no such head; did you mean fine? (heads: coarse, fine, other)",
        ),
    ],
)
def test_what_names_no_heads_of_the_data_is_refused(named, problem):
    with pytest.raises(ConfigError) as error:
        trained_heads(named, HEADS)
    assert str(error.value) == f"model.train_heads: {problem}"


@pytest.mark.parametrize(
    ("train_heads", "expected"),
    [
        (["fine"], ["coarse", "fine"]),
        (["coarse"], ["coarse"]),
        (["other", "fine"], ["coarse", "fine", "other"]),
    ],
)
def test_what_is_trained_or_implied_is_predicted(train_heads, expected):
    assert [head.name for head in predicted_heads(DATA_HEADS, train_heads)] == expected
    assert PredictedHeads(HEADS, train_heads, IMPLIED).names == tuple(expected)


logits_of_fine = st.lists(st.floats(-30, 30, width=32), min_size=5, max_size=5)


@given(st.lists(logits_of_fine, min_size=1, max_size=4))
def test_the_implied_probabilities_are_sums(rows):
    logits = torch.tensor(rows)
    probabilities = logits.double().softmax(1)
    implied = ImpliedHead(BY_FINE, 3)({"fine": logits}).double().exp()
    for coarse, fine in enumerate([(0, 1), (2, 3)]):
        summed = probabilities[:, fine].sum(1)
        torch.testing.assert_close(implied[:, coarse], summed, rtol=1e-4, atol=1e-12)


def test_the_loss_of_a_class_that_nothing_implies_is_finite():
    implied = ImpliedHead(BY_FINE, 3)({"fine": torch.tensor([[9.0, 0, 0, 0, 9]])})
    loss = torch.nn.functional.cross_entropy(implied, torch.tensor([2]))
    assert 80 < loss.item() < 88


def test_the_head_that_is_followed_has_to_be_predicted():
    with pytest.raises(ConfigError) as error:
        refuse_unpredicted("other", ["coarse", "fine"])
    assert str(error.value) == (
        "model.primary_head: model.train_heads leaves other out, and no trained head implies it; "
        "write one of the heads: coarse, fine"
    )


def make_module(train_heads, **settings):
    torch.manual_seed(0)
    optimizer = partial(torch.optim.SGD, lr=0.1)
    return MultiheadLitModule(
        SimpleCNN(dropout=0.0), optimizer, train_heads=train_heads, **settings
    )


@pytest.fixture
def trained_on(tensor_data, make_trainer):
    """Trains an epoch on some heads; gives the module and what was logged."""

    def train(train_heads, **settings):
        module, trainer = make_module(train_heads, **settings), make_trainer()
        trainer.fit(module, datamodule=tensor_data(heads=HEADS, implied_heads=IMPLIED))
        return module, trainer.callback_metrics

    return train


def test_a_head_left_out_changes_the_network_no_more_than_one_that_weighs_nothing(trained_on):
    without, _ = trained_on(["fine"])
    weightless, _ = trained_on(None, loss_weights={"coarse": 0.0, "other": 0.0})
    torch.testing.assert_close(without.net.state_dict(), weightless.net.state_dict())


def test_only_what_is_predicted_is_logged_and_averaged(trained_on):
    _, logged = trained_on(["fine"])
    assert not [name for name in logged if "other" in name]
    accuracies = [logged[f"val/{head}_acc"] for head in ("coarse", "fine")]
    assert logged["val/acc_mean"] == pytest.approx(sum(accuracies) / 2)
    assert logged["train/loss"] == logged["train/fine_loss"]


def test_a_head_left_out_scores_what_the_other_says_of_it(trained_on, tensor_data):
    module, logged = trained_on("fine")
    batches = tensor_data(heads=HEADS).val.batches
    images = torch.cat([images for images, _ in batches])
    targets = torch.cat([targets["coarse"] for _, targets in batches])
    fine = module.eval().net(images)["fine"].softmax(1)
    sums = torch.stack([fine[:, :2].sum(1), fine[:, 2:4].sum(1), 0 * fine[:, 0]], dim=1)
    assert logged["val/coarse_acc"] == (sums.argmax(1) == targets).float().mean()
    assert module(images).keys() == {"coarse", "fine"}


def test_a_trained_head_is_held_against_the_one_that_implies_it(trained_on, tensor_data):
    module, logged = trained_on(None)
    batches = tensor_data(heads=HEADS).val.batches
    predicted = module.eval()(torch.cat([images for images, _ in batches]))["fine"].argmax(1)
    told = torch.tensor([0, 0, 1, 1, -1])[predicted]
    targets = torch.cat([targets["coarse"] for _, targets in batches])
    accuracy = (told == targets).float().mean()
    assert logged["val/coarse_acc_implied_by_fine"] == pytest.approx(accuracy.item())
    assert "train/coarse_acc_implied_by_fine" not in logged


def test_the_order_of_the_heads_in_the_override_does_not_matter(trained_on):
    one, other = (trained_on(named)[1] for named in (["coarse", "fine"], ["fine", "coarse"]))
    assert one == other


def test_the_loss_weight_of_a_head_that_is_left_out_is_refused(trained_on):
    with pytest.raises(ConfigError) as error:
        trained_on(["fine"], loss_weights={"coarse": 2.0})
    assert str(error.value) == (
        "model.loss_weights.coarse: model.train_heads leaves the head out, so its loss weighs "
        "nothing; take the loss weight out, or add coarse to model.train_heads"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_heads": ["fin"]}, r"model\.train_heads: the data has no such head; did you mean"),
        (
            {"train_heads": ["fine"], "loss_weights": {"coars": 1.0}},
            r"model\.loss_weights\.coars: the data has no such head; did you mean coarse\?",
        ),
    ],
)
def test_heads_that_the_data_lack_are_refused(settings, message, trained_on):
    with pytest.raises(HeadMismatchError, match=message):
        trained_on(**settings)


def test_a_primary_head_may_be_implied_but_not_left_out(trained_on):
    _, logged = trained_on(["fine"], primary_head="coarse")
    assert logged["val/acc_best"] == logged["val/coarse_acc"]
    with pytest.raises(ConfigError, match=r"^model\.primary_head: model\.train_heads leaves other"):
        trained_on(["fine"], primary_head="other")
