import pytest

from mhray.models.refusals import odd, one_or_two, probability, whole


@pytest.mark.parametrize(
    ("kind", "fitting", "others"),
    [
        (whole, [1, 64], [0, -1, 1.0, True, "1", None]),
        (odd, [1, 7], [0, 2, -1, 3.0, "3", None]),
        (probability, [0, 0.0, 0.99], [1, 1.0, -0.1, float("nan"), "0.1", False, None]),
        (one_or_two, [1, 2], [0, 3, 1.5, 2.0, True, "1", None]),
    ],
)
def test_an_argument_fits_or_does_not(kind, fitting, others):
    assert [value for value in [*fitting, *others] if kind(value).fits] == fitting
