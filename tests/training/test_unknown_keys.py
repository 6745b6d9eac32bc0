from omegaconf import OmegaConf

from mhray.training.unknown_keys import unknown_arguments


def found(**node):
    return list(unknown_arguments(OmegaConf.create(node), "trainer"))


def test_keys_that_a_target_takes_are_let_through():
    assert found(_target_="torch.nn.Linear", in_features=3, out_features=2, _partial_=True) == []


def test_what_a_node_holds_comes_before_the_node():
    inner = {"_target_": "torch.nn.Dropout", "prob": 0.5}
    assert found(_target_="torch.nn.Flatten", start=1, inner=inner) == [
        "trainer.inner.prob: unknown key; one of: p, inplace",
        "trainer.start: unknown key; did you mean start_dim? (one of: start_dim, end_dim)",
        "trainer.inner: unknown key; one of: start_dim, end_dim",
    ]


def anything(**keys):
    return keys


def test_a_target_that_takes_every_key_has_no_unknown_one(monkeypatch):
    monkeypatch.setattr("torch.nn.Flatten", anything)
    assert found(_target_="torch.nn.Flatten", start=1) == []
