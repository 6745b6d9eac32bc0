from pathlib import Path

import pytest

from mhray.errors import ConfigError
from mhray.tuning.study_file import load_study, read_study

ROOT = Path(__file__).parents[2]
GOOD = {
    "name": "name: good",
    "base": "base: {experiment: cifar100mh_cnn, trainer.max_epochs: 8}",
    "search": "search: {model.optimizer.lr: {log_uniform: [1e-4, 1e-2]}}",
    "objectives": "objectives: [{maximize: val/acc_mean}]",
    "select": "select: {maximize: val/acc_mean}",
    "sampler": "sampler: {tpe: {startup_trials: 8, seed: 0}}",
    "scheduler": "scheduler: {asha: {grace_epochs: 2, keep_one_in: 3}}",
    "budget": "budget: {trials: 24, hours: 1}",
    "resources": "resources: {parallel_trials: auto, per_worker: {cpus: 1, gpus: 0}, retries: 2}",
    "storage": "storage: studies",
    "journal": "journal: auto",
    "mlflow": "mlflow: {tracking_uri: 'sqlite:///mlflow.db', register_best_as: best}",
    "confirm": "confirm: null",
}


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text):
    Path("study.yaml").write_text(text, encoding="utf-8")
    return Path("study.yaml")


def written(**changes):
    return write("\n".join((GOOD | changes).values()))


def problems(path, overrides=(), root=Path()):
    with pytest.raises(ConfigError) as caught:
        load_study(path, overrides, root)
    header, *lines = str(caught.value).splitlines()
    assert header == f"{path} has {len(lines)} problem{'s' * (len(lines) > 1)}:"
    return [line.removeprefix("  ") for line in lines]


@pytest.mark.usefixtures("in_tmp")
def test_a_good_file_has_no_problems():
    file = load_study(written())
    assert file.study.budget.trials == 24
    assert file.study.search["model.optimizer.lr"].log_uniform == (1e-4, 1e-2)
    assert file.text == "\n".join(GOOD.values())


@pytest.mark.usefixtures("in_tmp")
def test_the_population_of_the_documentation_has_no_problems():
    page = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    _, _, rest = page.partition("## A population")
    example = rest.split("```yaml\n")[1].split("```")[0]
    assert load_study(write(example)).study.scheduler.pbt.every_epochs == 2


@pytest.mark.usefixtures("in_tmp")
def test_the_given_trials_of_the_documentation_have_no_problems():
    page = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    _, _, rest = page.partition("## Given trials")
    example = rest.split("```yaml\n")[1].split("```")[0]
    assert len(load_study(write(f"name: given\n{example}")).study.enqueue) == 4


def test_the_shipped_study_has_no_problems():
    study = load_study(ROOT / "configs/sweep_weights.yaml").study
    assert list(study.search) == ["model.loss_weights", "model.optimizer.lr"]
    assert study.mlflow.register_best_as == "cifar100mh"


@pytest.mark.usefixtures("in_tmp")
def test_all_problems_are_reported_at_once_in_the_order_of_the_file():
    path = written(
        name="name: .x",
        base="base: {a.b: 1, seed: [1]}",
        search="search: {a.b: {uniform: [0, 1]}, c: 3}",
        objectives="objectives: [{maximize: test/loss}]",
        resources="resources: {workers_per_trial: 2, per_worker: {gpus: 0.5}, retries: -1, x: 1}",
    )
    places = [problem.split(": ")[:2] for problem in problems(path)]
    assert places == [
        ["study.yaml:1", "name"],
        ["study.yaml:2", "base.seed"],
        ["study.yaml:3", "search.a.b"],
        ["study.yaml:3", "search.c"],
        ["study.yaml:4", "objectives[0].maximize"],
        ["study.yaml:9", "resources.per_worker.gpus"],
        ["study.yaml:9", "resources.retries"],
        ["study.yaml:9", "resources.x"],
    ]


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("missing", ["name", "search"])
def test_a_missing_key_is_reported(missing):
    assert problems(written(**{missing: ""})) == [f"study.yaml:1: {missing}: is missing; write it"]


LR = "{uniform: [0, 1]}"
OPTION = f"{{one_of: {{x: {{a.b: {LR}}}, y: {{}}}}}}"
CLASHES = [
    ("base: {a.b: 1}", f"search: {{a.b: {LR}}}", "search.a.b", "base.a.b"),
    ("base: {++a.b: 1}", f"search: {{a.b: {LR}}}", "search.a.b", "base.++a.b"),
    (
        "base: {model.loss_weights.left: 1}",
        "search: {model.loss_weights: {simplex: heads}}",
        "search.model.loss_weights",
        "base.model.loss_weights.left",
    ),
    (
        "base: {}",
        f"search: {{m: {OPTION}, a.b: {LR}}}",
        "search.m.one_of.x.a.b",
        "search.a.b",
    ),
    (
        "base: {}",
        f"search: {{m: {OPTION}, n: {OPTION}}}",
        "search.n.one_of.x.a.b",
        "search.m.one_of.x.a.b",
    ),
]


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(("base", "search", "path", "other"), CLASHES)
def test_a_path_that_is_set_twice_is_refused(base, search, path, other):
    message = f"study.yaml:3: {path}: is also set by {other}; keep one of the two"
    assert problems(written(base=base, search=search)) == [message]


@pytest.mark.usefixtures("in_tmp")
def test_a_group_and_what_is_below_it_go_together():
    inner = f"one_of: {{x: {{a.b: {LR}}}, y: {{a.b: {LR}}}}}"
    path = written(base="base: {a: small}", search=f"search: {{a.c: {LR}, m: {{{inner}}}}}")
    assert load_study(path).problems == ()


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("path", ["model.loss_weights", "model.loss_weights.left", "weighting"])
def test_the_weighted_loss_is_no_goal_while_the_weights_are_searched(path):
    kind = "simplex: heads" if path == "model.loss_weights" else "choice: [1, 2]"
    broken = written(
        search=f"search: {{{path}: {{{kind}}}}}", select="select: {minimize: val/loss}"
    )
    [problem] = problems(broken)
    assert problem == (
        f"study.yaml:5: select.minimize: val/loss is weighted by {path}, which is searched, "
        "so that small weights win; write val/acc_mean or val/<head>_loss"
    )


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    "goal",
    [
        "minimize: val/left_loss",
        "maximize: val/left_acc",
        "minimize: val/left_mae",
        "maximize: val/left_balanced_acc",
    ],
)
def test_unweighted_metrics_may_be_goals_of_any_search(goal):
    search = "search: {model.loss_weights: {simplex: heads}}"
    load_study(written(search=search, select=f"select: {{{goal}}}"))


@pytest.mark.usefixtures("in_tmp")
def test_the_best_head_is_no_goal_while_it_is_searched_which_that_is():
    search = "search: {model.primary_head: {choice: [left, right]}}"
    assert problems(written(search=search, select="select: {maximize: val/acc_best}")) == [
        (
            "study.yaml:5: select.maximize: val/acc_best follows model.primary_head, which is "
            "searched, so that the easiest head wins; write val/acc_mean or val/<head>_acc"
        )
    ]


@pytest.mark.usefixtures("in_tmp")
def test_a_study_has_a_trial_for_each_option_that_is_a_bracket_of_its_own():
    search = "search: {model: {one_of: {cnn: {}, vit: {}}}}"
    within = "scheduler: {asha: {within: model}}"
    assert problems(written(search=search, scheduler=within, budget="budget: {trials: 1}")) == [
        (
            "study.yaml:8: budget.trials: should be 2 or more, not 1: scheduler.asha.within starts "
            "with a trial of each option of model"
        )
    ]
    load_study(written(search=search, scheduler=within, budget="budget: {trials: 2}"))
    load_study(written(search=search, budget="budget: {trials: 1}"))


WEIGHT = "base.model.loss_weights.sum=1"
SIMPLEX = "search.model.loss_weights={simplex: [left, right]}"


@pytest.mark.usefixtures("in_tmp")
def test_a_weight_beside_those_of_a_simplex_may_be_set():
    assert load_study(written(), [WEIGHT, SIMPLEX]).problems == ()


@pytest.mark.usefixtures("in_tmp")
def test_a_weight_of_a_simplex_is_set_twice_but_reported_once():
    overrides = [WEIGHT, SIMPLEX, "search.+model.loss_weights={simplex: [right, left]}"]
    [problem] = problems(written(), overrides)
    assert problem == (
        f"command line: {overrides[-1]}: "
        "is also set by search.model.loss_weights; keep one of the two"
    )


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("option", ["kind:a", "[key]"])
def test_an_option_of_any_name_is_named_in_its_problems(option):
    broken = written(search=f"search: {{m: {{one_of: {{x: {{}}, '{option}': {{a.b: 3}}}}}}}}")
    assert problems(broken) == [
        (
            f"study.yaml:3: search.m.one_of.{option}.a.b: is one value; put it in base, "
            "or write {choice: [3, ...]}"
        )
    ]


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize("uri", ["databricks", "sqlite:///x.db", "https://host/mlflow"])
def test_mlflow_may_be_a_database_or_a_server(uri):
    assert load_study(written(), [f"mlflow.tracking_uri={uri}"]).study.mlflow.tracking_uri == uri


@pytest.mark.usefixtures("in_tmp")
def test_the_command_line_overrides_the_file():
    overrides = [
        "budget.trials=3",
        "base.trainer.max_epochs=2",
        "base.seed=7",
        "search.model.loss_weights={simplex: heads, floor: 0.1}",
        "search.model.optimizer.lr.log_uniform=[1e-3, 1e-2]",
        "scheduler=null",
        "scheduler.asha.grace_epochs=1",
        "storage=some where",
        "mlflow.tracking_uri=http://localhost:5000",
        "mlflow.register_best_as=",
    ]
    study = load_study(written(), overrides).study
    assert study.budget.trials == 3
    assert list(study.base.items())[1:] == [("trainer.max_epochs", 2), ("seed", 7)]
    assert list(study.search) == ["model.optimizer.lr", "model.loss_weights"]
    assert study.search["model.optimizer.lr"].log_uniform == (1e-3, 1e-2)
    assert study.scheduler.asha.grace_epochs == 1
    assert study.storage == "some where"
    assert study.mlflow.tracking_uri == "http://localhost:5000"
    assert study.mlflow.register_best_as is None


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "budget.trails=3",
            "budget.trails=3: unknown key; did you mean trials? (one of: trials, hours, gpu_hours)",
        ),
        (
            "data.data_dir=d",
            (
                "data.data_dir=d: unknown key; one of: name, base, search, objectives, select, "
                "sampler, enqueue, scheduler, budget, resources, storage, keep_checkpoints, "
                "journal, mlflow, confirm"
            ),
        ),
        (
            "search.model.optimizer.lr.log_uniform=[1, 0.1]",
            (
                "search.model.optimizer.lr.log_uniform=[1, 0.1]: should have its lower end first; "
                "write [0.1, 1.0]"
            ),
        ),
        ("budget.trials", "budget.trials: sets nothing; write budget.trials=VALUE"),
        (
            "scheduler={asha: {grace_epochs: 0}}",
            "scheduler.asha.grace_epochs: should be 1 or more, not 0",
        ),
        (
            "budget.trials=[3",
            (
                "budget.trials: cannot be read as YAML "
                "(expected ',' or ']', but got '<stream end>'); "
                "close every bracket and quote, and put text that holds `: ` in quotes"
            ),
        ),
        (
            "budget={trials: 3, trials: 4}",
            "budget.trials: is also set at command line; keep one of the two",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_named_there(override, message):
    assert problems(written(), [override]) == [f"command line: {message}"]


SPACE_PROBLEMS = {
    "a.b: 3": "sweeps/vit.yaml:1: search.model.one_of.vit.a.b: is one value; put it in base, "
    "or write {choice: [3, ...]}",
    "\n- x": "sweeps/vit.yaml:1: search.model.one_of.vit: should be a mapping, not ['x']; "
    "write {} for an empty one",
    "a:\n\tb: 1": "sweeps/vit.yaml:2: "
    "search.model.one_of.vit: is indented with a tab; write spaces",
    "m: {one_of: {x: {}, y: sweeps/vit.yaml}}": "sweeps/vit.yaml:1: "
    "search.model.one_of.vit.m.one_of.y: sweeps/vit.yaml is inside itself; write a space",
}


def with_space_file(root, text, name="sweeps/vit.yaml"):
    (root / "sweeps").mkdir(parents=True)
    (root / "sweeps/vit.yaml").write_text(text, encoding="utf-8")
    return written(search=f"search: {{model: {{one_of: {{cnn: {{}}, vit: {name}}}}}}}")


@pytest.mark.parametrize(("text", "message"), SPACE_PROBLEMS.items())
def test_a_mistake_in_a_space_file_is_named_there(in_tmp, text, message):
    path = with_space_file(in_tmp / "project", text)
    assert problems(path, root=in_tmp / "project") == [message]


def test_a_space_file_is_read_from_the_project(in_tmp):
    path = with_space_file(in_tmp / "project", "z: {integer: [1, 2]}\na: {choice: [x, y]}")
    model = load_study(path, (), in_tmp / "project").study.search["model"]
    assert list(model.one_of["vit"]) == ["z", "a"]


def test_the_name_of_a_space_file_is_guessed(in_tmp):
    path = with_space_file(in_tmp, "{}", name="sweeps/vitt.yaml")
    assert problems(path, root=in_tmp) == [
        (
            "study.yaml:3: search.model.one_of.vit: there is no file sweeps/vitt.yaml; "
            "did you mean sweeps/vit.yaml? (one of: sweeps/vit.yaml)"
        )
    ]


UNREADABLE = {
    "- a\n- b": "study.yaml:1: holds no study; write one",
    "# nothing": "study.yaml:1: holds no study; write one",
    "name: x\n\tbase: {}": "study.yaml:2: is indented with a tab; write spaces",
}


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(("text", "message"), UNREADABLE.items())
def test_a_file_that_holds_no_study_says_so(text, message):
    assert problems(write(text)) == [message]


@pytest.mark.usefixtures("in_tmp")
def test_a_file_that_is_missing_is_guessed():
    written()
    with pytest.raises(ConfigError) as caught:
        load_study(Path("studdy.yaml"))
    assert str(caught.value) == (
        "there is no file studdy.yaml; did you mean study.yaml? (one of: study.yaml)"
    )


def test_a_directory_or_a_picture_is_no_study(in_tmp):
    (in_tmp / "x.png").write_bytes(b"\x89PNG")
    with pytest.raises(ConfigError, match="is no text; write the path of a YAML file in UTF-8"):
        load_study(Path("x.png"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_study(in_tmp)


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(ConfigError) as caught:
        load_study(Path("x\0.yaml"))
    assert str(caught.value) == r"'x\x00.yaml' is no file name; write a YAML file's path"


@pytest.mark.usefixtures("in_tmp")
def test_problems_can_be_looked_at_before_they_are_raised():
    file = read_study(written(name="name: .x"))
    assert [str(problem).split(": ")[1] for problem in file.problems] == ["name"]
    assert file.study.budget.trials == 24
