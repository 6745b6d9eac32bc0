import pytest
from pydantic import ValidationError

from mhray.tuning.scheduler_kinds import first_decision


@pytest.mark.parametrize(
    ("pbt", "message"),
    [
        ({"quantile": 0.6}, "should be 0.5 or less, not 0.6: nobody is best and worst at once"),
        ({"lr_factors": 0.8}, "should be a list of factors, not 0.8; write [0.8, 1.25]"),
        ({"lr_factors": [0.8, 0]}, "should hold factors above 0, not 0; write [0.8, 1.25]"),
        ({"every_epoch": 2}, "unknown key; did you mean every_epochs?"),
    ],
)
def test_a_senseless_population_is_refused(a_study, pbt, message):
    with pytest.raises(ValidationError) as error:
        a_study(scheduler={"pbt": pbt})
    assert message in str(error.value)


def test_a_population_first_decides_when_all_stand_for_the_first_time(a_study):
    study = a_study(scheduler={"pbt": {"every_epochs": 3, "lr_factors": [0.5, 2]}})
    assert first_decision(study.scheduler) == (("scheduler", "pbt", "every_epochs"), 3)
