"""The card of a registered model, of figures that are given."""

from dataclasses import replace

import pytest

from mhray.heads import Head
from mhray.tuning.page.card import Product, card_of

HEADS = (
    Head("left", 2, class_names=("cat", "dog")),
    Head("right", 10),
    Head("sum", 3, smallest_value=5, is_skewed=True, largest_share=0.5),
)
PRODUCT = Product(
    network="SimpleCNN",
    parameters=1234,
    data="pairs",
    heads=HEADS,
    predicted=("left", "right", "sum"),
    image_shape=(3, 16, 24),
    train=900,
    val=100,
    test=400,
)
VALIDATED = {
    "val/left_acc": 0.9,
    "val/left_loss": 0.1,
    "val/right_acc": 0.12,
    "val/right_loss": 0.1,
    "val/right_acc_chance": 0.19,
    "val/sum_acc": 0.6,
    "val/sum_loss": 0.1,
    "val/sum_balanced_acc": 0.41,
    "val/acc_mean": 0.54,
}
CARD = """Trial 0 of study planted.

## Model

SimpleCNN with 1234 parameters. It takes uint8 images (N, 16, 24, 3): height, width, channels. It \
gives the class of each head, counted from 0, with its name and its probability.

None of 1 complete trial beats trial 0 (equal weights), which reaches 54.0 % of val/acc\\_mean. \
On the test split it has 53.0 %.

## Data

pairs: images of 16 x 24 pixels with 3 channels, 900 to train on, 100 for validation, which \
chose, and 400 of the test batch, which chose nothing. Its fingerprint (sha256) is f00d.

## Heads

| head | classes | names |
| --- | ---: | --- |
| left | 2 | cat, dog |
| right | 10 | 0 to 9 |
| sum | 3 | 5 to 7 |

Classes without names have their values in the data files.

## Accuracy

| head | validation | test |
| --- | ---: | ---: |
| left | 90.0 % (82.6 to 94.5) | 91.0 % (87.8 to 93.4) |
| right | 12.0 % (7.0 to 19.8) | - |
| sum | 60.0 % (50.2 to 69.1) | - |
| mean | 54.0 % (44.3 to 63.4) | 53.0 % (48.1 to 57.8) |

No fresh seed confirmed it: its validation figures are those that chose it. In brackets: the 95 % \
interval of a share of that many images (Wilson), for this one model; of the mean over heads it \
is no wider than this.

## Limits

* It was trained on these images alone. A picture of another kind gets an answer too, and nothing \
in the answer tells.
* It is not calibrated: a probability of 0.9 need not be right nine times in ten.
* Head right is at chance: val/right\\_acc is 0.1200, and naming one class may have 0.1900 by \
luck.
* Classes of sum are not equally common (the commonest has 50.0 % of the samples), and the rare \
ones may be worse than its accuracy: the mean over classes is 41.0 %.
* This study has shown 1 model to the test batch. What others have shown it is not known here.

## To repeat it

```text
python -m mhray.train a=1 seed=12345
```

With commit 0123456789ab, mhray 0.9.
"""


@pytest.fixture
def a_card(a_material):
    """The card of a study of one trial, which has these overrides and metrics."""

    def make(product=PRODUCT, overrides=("a=1",), metrics=VALIDATED, **known):
        material = a_material(1, data={"fingerprint": "f00d"})
        (record,) = material.records
        row = replace(record.epochs[-1], metrics=dict(metrics))
        test = {"test/left_acc": 0.91, "test/acc_mean": 0.53}
        trial = replace(record, epochs=(row,), overrides=overrides, test=test)
        return card_of(replace(material, records=(trial,), **known), product)

    return make


def test_a_card_says_what_the_model_is_how_good_and_where_it_ends(a_card):
    assert a_card() == CARD


def test_a_share_of_some_of_the_images_has_no_interval_and_a_head_left_out_is_named(a_card):
    limits = {"limit_val_batches": "0.5"}
    card = a_card(replace(PRODUCT, limits=limits, predicted=("left", "right")))
    assert "| left | 90.0 % | 91.0 % (87.8 to 93.4) |" in card
    assert "* trainer.limit\\_val\\_batches was 0.5: a part of the images was left out.\n" in card
    assert "* It does not predict sum.\n" in card


@pytest.mark.parametrize("count", [30, 300])
def test_a_card_of_many_heads_with_long_names_is_no_longer_than_mlflow_s_databases_take(
    a_card, count
):
    names = tuple(f"a class with a long name {number}" for number in range(100))
    heads = tuple(
        Head(f"a_head_{number}", 100, class_names=names, is_skewed=True) for number in range(count)
    )
    accuracies = {f"val/{head.name}_{name}": 0.1 for head in heads for name in ("acc", "loss")}
    chances = {f"val/{head.name}_acc_chance": 0.2 for head in heads}
    product = replace(PRODUCT, heads=heads, predicted=tuple(head.name for head in heads))
    weights = tuple(f"model.loss_weights.{head.name}=0.123456789" for head in heads)
    card = a_card(product, weights, {**accuracies, **chances, "val/acc_mean": 0.1})
    assert 3000 < len(card) < 4800
    assert "whole in the journal)\n```\n" in card
