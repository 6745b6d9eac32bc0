"""Each check finds the damage that it is there for, and nothing in a sweep that lost nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.checks import METRIC, Aftermath, problems
from tests.chaos.records import Recorded, Told

HISTORY = ((1, 0.5), (2, 0.75))


def told(number: int, state: str = "COMPLETE", value: float | None = 0.75) -> Told:
    return Told(number, state, value, (f"lr={number}",), 12345, "{}", HISTORY)


def recorded(number: int, status: str = "FINISHED") -> Recorded:
    return Recorded(number, status, {"val/acc_mean": HISTORY})


RUNNING = replace(told(1, "RUNNING", None), best_by_epoch=HISTORY[:1])
RUNS = (recorded(-1), recorded(0), recorded(1))
WHOLE = Aftermath(
    before=[[told(0), RUNNING]],
    after=[told(0), told(1)],
    runs=RUNS,
    reference=RUNS,
    planned=2,
    epochs=2,
    saved={"0": 2, "1": 3},
    kills=1,
    code=0,
)


def names_of_problems(seen: Aftermath) -> set[str]:
    return {name for name, said in problems(seen).items() if said}


def test_a_sweep_that_lost_nothing_has_no_problems() -> None:
    assert names_of_problems(WHOLE) == set()


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        ({"before": [[told(0, value=0.7)]]}, {"finished_trials_are_kept"}),
        (
            {"before": [[replace(RUNNING, overrides=("lr=9",))]]},
            {"running_trials_stay_themselves"},
        ),
        ({"planned": 3}, {"count_is_exact"}),
        ({"saved": {"1": 4}}, {"few_epochs_are_repeated"}),
        ({"code": None}, {"command_ends_well"}),
        ({"strays": ["raylet"]}, {"nothing_is_left"}),
        ({"memory": ["plasma"]}, {"nothing_is_left"}),
        ({"runs": (recorded(-1), recorded(0), recorded(1, "RUNNING"))}, {"mlflow_agrees"}),
        ({"runs": (*RUNS, recorded(1))}, {"mlflow_agrees"}),
        ({"runs": RUNS[:2]}, {"mlflow_agrees"}),
        ({"runs": (*RUNS, recorded(-1))}, {"mlflow_agrees"}),
        (
            {"runs": (*RUNS[:2], replace(RUNS[2], doubled=("val/acc_mean",)))},
            {"mlflow_agrees"},
        ),
    ],
)
def test_damage_is_found_by_the_check_that_is_there_for_it(
    damage: dict[str, object], names: set[str]
) -> None:
    change: Callable[..., Aftermath] = replace
    assert names_of_problems(change(WHOLE, **damage)) == names


def test_a_lost_trial_is_lost() -> None:
    lost = replace(WHOLE, after=[told(1)])
    assert problems(lost)["finished_trials_are_kept"] == ["trial 0 is lost"]


def test_metrics_unlike_those_of_the_quiet_sweep_are_named() -> None:
    quiet = replace(RUNS[2], epochs={"val/acc_mean": ((1, 0.5), (2, 0.8))})
    seen = replace(WHOLE, reference=(*RUNS[:2], quiet))
    assert problems(seen)["metrics_are_those_of_a_quiet_sweep"] == [
        "trial 1: 1 metrics differ; val/acc_mean [(1, 0.5), (2, 0.75)] not [(1, 0.5), (2, 0.8)]"
    ]


def test_a_trial_in_two_runs_has_the_metrics_of_both() -> None:
    first, second = (replace(RUNS[2], epochs={METRIC: (point,)}) for point in ((1, 0.5), (2, 0.75)))
    found = problems(replace(WHOLE, runs=(*RUNS[:2], first, second)))
    assert found["metrics_are_those_of_a_quiet_sweep"] == []
    assert found["mlflow_agrees"][0] == "trial 1 has 2 runs in MLflow"
