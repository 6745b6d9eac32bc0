import pytest

from mhray.tuning.page.curves import curves
from mhray.tuning.page.draws import parallel
from mhray.tuning.page.figure import Line
from mhray.tuning.page.thinning import LINES


@pytest.mark.parametrize(("section", "of_all"), [(curves, 2 * LINES + 2), (parallel, LINES)])
def test_a_figure_of_many_trials_has_a_line_for_some_of_them_and_says_so(
    a_material, section, of_all
):
    few, many = section(a_material(60)), section(a_material(400))
    assert "evenly" not in few.blocks[-1].caption
    assert "evenly by result" in many.blocks[-1].caption
    drawn = [one for figure in many.blocks[-1].figures for one in figure.series]
    assert all(isinstance(line, Line) for line in drawn)
    assert len({number for line in drawn for number in line.trials}) == of_all


def test_the_best_and_the_worst_trial_have_a_line_always(a_material):
    material = a_material(400)
    metric = material.study.select.metric
    worst = min(material.complete, key=lambda one: material.validated(one)[metric])
    [figure] = parallel(material).blocks[-1].figures
    drawn = {number for line in figure.series for number in line.trials}
    assert {worst.number, material.best.number} <= drawn
