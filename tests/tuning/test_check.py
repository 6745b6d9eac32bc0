from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from mhray.errors import ConfigError, DataNotFoundError
from mhray.heads import Head
from mhray.training.run import weighting_of
from mhray.tuning.capacity import Capacity
from mhray.tuning.check import check_study
from mhray.tuning.study_file import read_study
from mhray.tuning.world import World

HEADS = (Head("left", 10), Head("right", 10))
VELOCITY = Head("velocity", 8, scale="log", is_skewed=True)
CONFIGS = {
    "train.yaml": "defaults: [_self_, {model: cnn}, {experiment: null}]\n"
    "trainer: {max_epochs: 10, devices: 1, repeats: 1, fast: false}\nworkers: 1\n"
    "per_worker: {gpus: 0, cpus: 1}\nselect: {metric: val/acc_mean, mode: max}",
    "model/cnn.yaml": "{loss_weights: null, net: {depth: 3}, optimizer: {lr: 1e-3}}",
    "model/dwa.yaml": "{loss_weights: {}, net: {}, weighting: {_target_: "
    "mhray.models.weighting.DWA, _partial_: true, temperature: 2}}",
    "model/vit.yaml": "{loss_weights: null, net: {heads: 4}, optimizer: {lr: 1e-3}}",
    "model/deep.yaml": "{loss_weights: null, net: {depth: 9}, optimizer: {lr: 1e-3}}",
    "experiment/deep.yaml": "# @package _global_\ndefaults: [{override /model: deep}]",
    "experiment/endless.yaml": "# @package _global_\ntrainer: {max_epochs: -1}",
    "experiment/vit.yaml": "# @package _global_\ndefaults: [{override /model: vit}]",
}
STUDY = """name: study
base: {%s}
search: {%s}
objectives: [{%s: %s}]
resources: {%s}
scheduler: {asha: {grace_epochs: %s}}
enqueue: %s
"""
SEARCH = "model.loss_weights: {simplex: heads}, model.optimizer.lr: {log_uniform: [1e-4, 1e-2]}"


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """A directory of Hydra groups, small but composed by the real Hydra."""
    root = tmp_path_factory.mktemp("configs")
    for name, text in CONFIGS.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def try_out(config):
    """A step for which six layers are time enough, and that takes heads which divide 12."""
    layers = config.model.net.get("depth", 1)
    if layers * config.trainer.repeats > 6:
        raise ConfigError(f"model.net.depth: {layers} are too many")
    if 12 % config.model.net.get("heads", 1):
        raise ConfigError(f"model.net.heads: {config.model.net.heads}\nmodel.net.dim: 12")
    return 1000 * layers


@pytest.fixture
def composed():
    """The overrides of all configs that were composed."""
    return []


@pytest.fixture
def check(configs, composed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def compose_run(overrides):
        composed.append(tuple(overrides))
        GlobalHydra.instance().clear()
        typed = [o.replace("model.loss_weights.", "++model.loss_weights.") for o in overrides]
        with initialize_config_dir(str(configs), version_base="1.3"):
            try:
                return compose("train", typed)
            except HydraException as error:
                raise ConfigError(str(error).splitlines()[0]) from None

    def run(
        base="",
        search=SEARCH,
        metric="val/acc_mean",
        resources="",
        grace=1,
        way="maximize",
        enqueue="null",
        **others,
    ):
        path = Path("study.yaml")
        written = STUDY % (base, search, way, metric, resources, grace, enqueue)
        path.write_text(written, encoding="utf-8")
        world = {
            "available": Capacity(2, 1, "here", 2**33),
            "free_bytes": lambda _: 2**30,
            "check": lambda _: None,
            "read_heads": lambda _: HEADS,
            "make_weighting": weighting_of,
            "compose": compose_run,
            "try_out": try_out,
        }
        return check_study(read_study(path), World(**(world | others)))

    return run


def problems(check, **study):
    with pytest.raises(ConfigError) as caught:
        check(**study)
    return [line.removeprefix("  ") for line in str(caught.value).splitlines()[1:]]


def test_a_fitting_study_comes_back_with_its_heads(check):
    study = check("trainer.max_epochs: 3")
    assert study.search["model.loss_weights"].simplex == ("left", "right")


ONE_OF = "model: {one_of: {cnn: {}, vit: {model.net.heads: {integer: [1, 3]}}}}"
TOO_DEEP = "model: {one_of: {cnn: {model.net.depth: {integer: [1, 3]}}, deep: {%s}}}"
BOTH = "model.net.depth: {integer: [%s]}, trainer.repeats: {integer: [%s]}"
REFUSED = [
    ({"base": "experiment: deep"}, "study.yaml:2: base: model.net.depth: 9 are too many"),
    (
        {"search": TOO_DEEP % "model.net.depth: {integer: [7, 9]}"},
        "study.yaml:3: search.model.one_of.deep: model.net.depth: 9 are too many",
    ),
    (
        {"search": TOO_DEEP % ""},
        "study.yaml:3: search.model.one_of.deep: model.net.depth: 9 are too many",
    ),
    (
        {"search": "model: {one_of: {cnn: {}, vit: {model.net.heads: {choice: [4, 5]}}}}"},
        (
            "study.yaml:3: search.model.one_of.vit.model.net.heads.choice[1]: model.net.heads: 5; "
            "model.net.dim: 12"
        ),
    ),
    (
        {"search": BOTH % ("1, 4", "1, 2")},
        (
            "study.yaml:3: search: the highest values of all ranges together: "
            "model.net.depth: 4 are too many"
        ),
    ),
    (
        {"search": "model: {one_of: {cnn: {}, vit: {}}}, model.net.depth: {integer: [1, 2]}"},
        (
            "study.yaml:3: search.model.net.depth: with model=vit: Could not override "
            "'model.net.depth'."
        ),
    ),
]


@pytest.mark.parametrize(("study", "says"), REFUSED)
def test_the_entry_that_is_to_blame_is_named(check, study, says):
    assert problems(check, **study) == [says]


@pytest.mark.parametrize(
    "study",
    [
        {"base": "experiment: vit", "search": "model.net.heads: {choice: [2, 4]}"},
        {"base": "trainer.devices: auto"},
        {"base": "trainer.devices: '${trainer.max_epochs}'"},
        {"search": ONE_OF},
        {"metric": "val/right_acc", "search": "model.net.depth: {integer: [1, 2]}"},
        {"base": "experiment: deep", "search": "model: {choice: [cnn, vit]}"},
        {"search": "model.net.depth: {integer: [1, 4]}, trainer.repeats: {choice: [1, 2]}"},
        {"enqueue": "[class_count, {model.loss_weights.left: 0.8, model.loss_weights.right: 1.2}]"},
        {"resources": "parallel_trials: 4, per_worker: {cpus: 0.5, gpus: 0.25}"},
    ],
)
def test_what_fits_is_let_through(check, study):
    check(**study)


def test_examples_are_tried_together_and_none_is_composed_twice(check, composed):
    space = "{model.net.heads: {choice: [1, 2, 3]}, model.optimizer.lr: {uniform: [0.1, 1]}}"
    options = f"model: {{one_of: {{cnn: {{}}, vit: {space}}}}}"
    check(search=f"{options}, trainer.devices: {{integer: [1, 2]}}")
    assert sorted(composed) == sorted(set(composed))
    # One by itself, to see which heads and which weighting it has, and three with examples.
    assert len([overrides for overrides in composed if "model=vit" in overrides]) == 4


@pytest.mark.parametrize(
    ("way", "metric"),
    [("minimize", "val/velocity_mae"), ("maximize", "val/velocity_balanced_acc")],
)
def test_what_ordinal_and_skewed_heads_log_may_be_an_objective(check, way, metric):
    study = check(read_heads=lambda _: (*HEADS, VELOCITY), way=way, metric=metric)
    assert study.search["model.loss_weights"].simplex == ("left", "right", "velocity")


def test_a_head_of_one_class_has_no_weight_by_its_logarithm(check):
    [problem] = problems(
        check, read_heads=lambda _: (*HEADS, Head("lone", 1)), enqueue="[inverse_log_classes]"
    )
    assert problem == (
        "study.yaml:7: enqueue[0]: inverse_log_classes divides by ln C, which is 0 for lone, a "
        "head of one class; write class_count"
    )


def test_what_only_other_kinds_of_heads_log_is_no_objective(check):
    [problem] = problems(check, way="minimize", metric="val/left_mae")
    assert problem == (
        "study.yaml:4: objectives[0].minimize: no run logs val/left_mae; did you mean "
        "val/left_acc? (one of: val/acc_mean, val/left_acc, val/left_loss, val/right_acc, "
        "val/right_loss, val/acc_best, val/acc_spread, val/loss, val/loss_ratio)"
    )


def test_problems_of_the_file_and_of_the_world_come_together(check):
    found = problems(
        check, base="trainer.max_epoch: 3", search="x: 3, y: {uniform: [0, 1]}", metric="val/x"
    )
    assert [problem.split(": ")[:2] for problem in found] == [
        ["study.yaml:2", "base.trainer.max_epoch"],
        ["study.yaml:3", "search.x"],
        ["study.yaml:3", "search.y"],
        ["study.yaml:4", "objectives[0].maximize"],
    ]


def missing(config):
    raise DataNotFoundError("data/x: there is no such directory; write one")


def test_missing_data_are_a_problem_of_the_base(check):
    assert problems(check, read_heads=missing) == [
        "study.yaml:2: base: data/x: there is no such directory; write one"
    ]


def test_data_are_not_blamed_for_a_wrong_base(check):
    found = problems(check, base="model: vitt", read_heads=missing)
    assert found == ["study.yaml:2: base.model: In 'train': Could not find 'model/vitt'"]


def test_a_value_that_only_fits_with_its_group_is_not_blamed(check):
    found = problems(check, base="model.net.heads: 2, trainer.x: 1, experiment: vit")
    assert found == ["study.yaml:2: base.trainer.x: Could not override 'trainer.x'."]
