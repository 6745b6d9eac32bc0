import pytest
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("pbt", "message"),
    [
        ({"quantile": 0.6}, "should be 0.5 or less, not 0.6: nobody is best and worst at once"),
        ({"lr_factors": 0.8}, "should be a list of factors, not 0.8; write [0.8, 1.25]"),
        ({"lr_factors": [0.8, 0]}, "should hold factors above 0, not 0; write [0.8, 1.25]"),
        ({"every": 2}, "unknown key; did you mean every_epochs?"),
    ],
)
def test_a_senseless_population_is_refused(a_study, pbt, message):
    with pytest.raises(ValidationError) as error:
        a_study(scheduler={"pbt": pbt})
    assert message in str(error.value)
