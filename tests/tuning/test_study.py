import pytest
from pydantic import ValidationError

from mhray.tuning.sampler_kinds import TpeSampler
from mhray.tuning.study import Study, dump_study

SMALLEST = {"name": "smallest", "search": {"model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]}}}


def test_every_key_but_name_and_search_has_a_default():
    assert dump_study(Study.model_validate(SMALLEST)) == SMALLEST | {
        "base": {},
        "objectives": [{"maximize": "val/acc_mean"}],
        "select": {"maximize": "val/acc_mean"},
        "sampler": {"tpe": {"startup_trials": 10, "seed": 0}},
        "enqueue": None,
        "scheduler": None,
        "budget": {"trials": 24, "hours": None, "gpu_hours": None},
        "resources": {
            "parallel_trials": "auto",
            "workers_per_trial": 1,
            "per_worker": {"cpus": 1.0, "gpus": 0.0, "memory": None, "elastic": False},
            "retries": 2,
            "stall_minutes": None,
            "open_to_network": False,
        },
        "storage": "studies",
        "keep_checkpoints": 10,
        "journal": "auto",
        "mlflow": {"tracking_uri": "sqlite:///mlflow.db", "register_best_as": None},
        "confirm": None,
    }


def test_a_dumped_study_is_the_same_study_when_read_again():
    one_of = {"one_of": {"cnn": {"model.net.depth": {"integer": [1, 3]}}, "vit": {}}}
    search = {"model": one_of, "model.loss_weights": {"simplex": "heads", "floor": 0.1}}
    raw = SMALLEST | {"base": {"a.b": None, "c": 1, "d": "x"}, "search": search}
    raw |= {"enqueue": ["class_count", {"model": "vit"}], "scheduler": {"asha": {"by": "heads"}}}
    study = Study.model_validate(raw | {"sampler": {"nsga2": {}}})
    assert Study.model_validate(dump_study(study)) == study


@pytest.mark.parametrize(("goal", "mode"), [("maximize", "max"), ("minimize", "min")])
def test_a_goal_knows_its_metric_and_mode(goal, mode):
    study = Study.model_validate(SMALLEST | {"select": {goal: "val/left_acc"}})
    assert (study.select.metric, study.select.mode) == ("val/left_acc", mode)


def test_the_kind_of_a_section_is_its_class():
    match Study.model_validate(SMALLEST | {"sampler": {"tpe": {"seed": 7}}}).sampler:
        case TpeSampler(tpe=tpe):
            assert (tpe.startup_trials, tpe.seed) == (10, 7)


def test_a_study_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Study.model_validate(SMALLEST).name = "other"


@pytest.mark.parametrize(
    "name",
    [
        *("..", ".", "", "../other", "/etc/passwd", "a/b", "~", ".hidden", "a b", "$HOME"),
        *("a\u2044b", "a\uff0fb", "a\u2215b", "\u202eab", "\u00e9", "a\n", "a\0b"),
        *("a\\b", "C:a", "\\\\server\\a"),
    ],
)
def test_a_name_cannot_leave_the_storage(name):
    with pytest.raises(ValidationError, match="should be a plain file name"):
        Study.model_validate(SMALLEST | {"name": name})


def test_a_dumped_study_has_no_password():
    raw = SMALLEST | {"mlflow": {"tracking_uri": "http://me:a%2Fb:c@host:5000"}}
    raw |= {"journal": "postgresql://me:secret@host/db?sslpassword=secret&a=1"}
    dumped = dump_study(Study.model_validate(raw))
    assert dumped["mlflow"]["tracking_uri"] == "http://me:***@host:5000"
    assert dumped["journal"] == "postgresql://me:***@host/db?sslpassword=***&a=1"
